/** FTP servers that forbid commands, and two Lading servers that deliver the same names. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { addTarget, deliveries, settled, store } from '../../support/product/delivering.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { sign, startServer } from '../../support/product/server.ts';
import { FTP_PASSWORD, FTP_USER, type FtpOptions, startFtpServer } from '../../support/servers/ftp-server.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';
import { DENIED, everything, large, NAMED, partlySent, SLOW } from './ftp-hostile-setup.ts';
import { begin, QUICK, skip } from './ftp-setup.ts';

const FOUR_ATTEMPTS = { LADING_DELIVERY_ATTEMPTS: '4' };

test('two servers deliver the same names to one directory at the same time without losing a file', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t);
  const other = await startServer(t, QUICK);
  for (const one of [server, other]) await addTarget(one, ftp, NAMED);
  // A slash becomes an underscore in a remote name, so all these files ask for the same one.
  const names = ['a_b_c.txt', 'a/b_c.txt', 'a_b/c.txt', 'a/b/c.txt'];
  const sent: string[] = [];
  const sendings = [server, other].flatMap((one, which) =>
    names.map((name) => {
      const bytes = `${which} ${name}`;
      sent.push(bytes);
      return store(one, name, Buffer.from(bytes));
    }),
  );
  await Promise.all(sendings);
  for (const one of [server, other]) {
    await eventually(async () => (await deliveries(one, '?state=delivered')).length === 4, 'all of them');
  }
  const delivered = await everything(ftp);
  assert.equal(delivered.length, 8, delivered.join());
  const found = await Promise.all(delivered.map((name) => readFile(join(ftp.home, name), 'utf8')));
  assert.deepEqual(found.sort(), sent.sort());
});

test('a leftover reservation of another server makes the delivery use the next name', { skip }, async (t) => {
  const { ftp, server } = await begin(t);
  await addTarget(server, ftp, NAMED);
  const reservation = '.lading-1ab52f8c3bd1c491-their-file-01234567.part';
  await writeFile(join(ftp.home, reservation), 'theirs');
  await store(server, 'letters.txt', ALPHABET);
  assert.equal((await settled(server, 'letters.txt'))[0]?.state, 'delivered');
  assert.deepEqual(await everything(ftp), [reservation, 'letters_2.txt']);
});

for (const [how, options] of [
  ['forbids deleting', { lines: DENIED('DELE', 'RMD') }],
  ['forbids deleting and hides incomplete files', { lines: [...DENIED('DELE', 'RMD'), 'HiddenStores on'] }],
  ['hides incomplete files', { lines: ['HiddenStores on'] }],
] as [string, FtpOptions][]) {
  test(`a server that ${how} and is killed in mid-transfer gets the file, and the leftovers it can delete are deleted`, {
    skip,
  }, async (t) => {
    const { ftp, server } = await begin(t, { ...SLOW, ...options });
    await addTarget(server, ftp, NAMED);
    await store(server, 'large.bin', large);
    await eventually(async () => {
      const sizes = (await everything(ftp)).map((name) => stat(join(ftp.home, name)).then(({ size }) => size));
      return (await Promise.all(sizes)).some((size) => size >= large.length / 4);
    }, 'the middle of a transfer');
    await ftp.stop();
    await ftp.start();
    assert.equal((await settled(server, 'large.bin'))[0]?.state, 'delivered');
    assert.ok(large.equals(await readFile(join(ftp.home, 'large.bin'))));
    const left = (await everything(ftp)).filter((name) => name !== 'large.bin');
    if (!how.includes('forbids')) assert.deepEqual(left, []);
    else assert.ok(left.length <= 1, left.join());
  });
}

for (const overwrite of [true, false]) {
  test(`attempts leave at most a few files on a server without rename and delete, ${overwrite ? 'with' : 'without'} overwriting`, {
    skip,
  }, async (t) => {
    const { ftp, server } = await begin(t, { overwrite, lines: DENIED('RNFR', 'RNTO', 'DELE') }, FOUR_ATTEMPTS);
    await addTarget(server, ftp, NAMED);
    await store(server, 'letters.txt', ALPHABET);
    const [delivery] = await settled(server, 'letters.txt');
    assert.equal(delivery?.state, 'failed');
    assert.match(delivery?.last_error ?? '', overwrite ? /^550 / : /neither removes nor replaces/);
    assert.equal((await everything(ftp)).length, overwrite ? 1 : 3);
  });
}

test('a server that forbids renaming: the error shows its reply, and no file remains', { skip }, async (t) => {
  const { ftp, server } = await begin(t, { lines: DENIED('RNFR') }, FOUR_ATTEMPTS);
  await addTarget(server, ftp, NAMED);
  await store(server, 'letters.txt', ALPHABET);
  const [delivery] = await settled(server, 'letters.txt');
  assert.deepEqual([delivery?.state, delivery?.attempts], ['failed', 4]);
  assert.match(delivery?.last_error ?? '', /^550 /);
  assert.deepEqual(await everything(ftp), []);
});

test('deleting a tenant stops its deliveries, and a new tenant with the same id does not see them', {
  skip,
}, async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.clients.create({ id: 'root', secret: 'the-secret-of-the-root', role: 'root', name: null });
    await identity.tenants.create('acme', 'Acme');
    const wile = { id: 'wile', secret: 'the-secret-of-wile', role: 'client' as const, name: null, tenant: 'acme' };
    await identity.clients.create(wile);
  });
  const ftp = await startFtpServer(t, SLOW);
  const server = await startServer(t, { ...QUICK, LADING_WEBHOOK_PRIVATE: 'on' }, {}, dataDir);
  const { origin, app } = server;
  const json = { ...sign(app, 'root', 'root').headers, 'content-type': 'application/json' };
  const target = { kind: 'ftp', host: '127.0.0.1', port: ftp.port, username: FTP_USER, password: FTP_PASSWORD };
  const created = await fetch(`${origin}/api/deliveries/targets?tenant=acme`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify(target),
  });
  assert.equal(created.status, 201);
  await store({ ...server, client: { ...server.client, ...sign(app, 'wile', 'client') } }, 'large.bin', large);
  await partlySent(ftp, large.length / 8);
  const { authorization } = json;
  const deleted = await fetch(`${origin}/api/tenants/acme`, { method: 'DELETE', headers: { authorization } });
  assert.equal(deleted.status, 200);
  assert.equal(
    (await fetch(`${origin}/api/tenants`, { method: 'POST', headers: json, body: '{"tenant_id":"acme"}' })).status,
    201,
  );
  const list = await fetch(`${origin}/api/deliveries?tenant=acme`, { headers: { authorization } });
  assert.deepEqual(await list.json(), { deliveries: [], next_cursor: null });
  await eventually(async () => (await everything(ftp)).length === 0, 'an empty directory');
  for (const folder of ['v1/targets', 'v1/deliveries']) {
    await eventually(async () => (await readdir(join(dataDir, folder))).length === 0, `nothing in ${folder}`);
  }
});
