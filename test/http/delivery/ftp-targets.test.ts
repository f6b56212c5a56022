/** FTP targets: passwords, sealing keys, large files, invalid targets and names in use. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Target } from '../../../src/protocol/schemas/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { addTarget, deliveries, post, settled, statusOf, store } from '../../support/product/delivering.ts';
import { startServer } from '../../support/product/server.ts';
import { FTP_USER, startFtpServer } from '../../support/servers/ftp-server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { begin, QUICK, skip } from './ftp-setup.ts';

test('an error shows the reply of the FTP server; the password appears neither in replies nor on disk', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t, {}, { LADING_DELIVERY_ATTEMPTS: '1' });
  const password = 'wrong, and secret none the less';
  const target = await addTarget(server, ftp, { password });
  assert.equal(target.password, '********');
  await store(server, 'letters.txt', ALPHABET);
  const [failed] = await settled(server, 'letters.txt');
  assert.match(failed?.last_error ?? '', /530/);
  const { origin, admin, dataDir } = server;
  for (const path of ['/api/deliveries/targets', '/api/deliveries', '/api/config', '/api/audit']) {
    const text = await (await fetch(`${origin}${path}`, { headers: admin.headers })).text();
    assert.ok(!text.includes(password), path);
  }
  const shown = await (await fetch(`${origin}/api/config`, { headers: admin.headers })).json();
  const { delivery } = shown as { delivery: { targets: Target[] } };
  assert.deepEqual(
    delivery.targets.map(({ host, username, password: masked }) => [host, username, masked]),
    [['127.0.0.1', FTP_USER, '********']],
  );
  await server.close();
  for (const entry of await readdir(join(dataDir, 'v1'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    assert.ok(!(await readFile(join(entry.parentPath, entry.name))).includes(password), entry.name);
  }
});

test('a password sealed with another key fails the delivery with an error that says so', { skip }, async (t) => {
  const ftp = await startFtpServer(t);
  const first = await startServer(t, { ...QUICK, LADING_SEALING_KEY: 'the first of two keys of this test' });
  await addTarget(first, ftp);
  await first.close();
  const other = { ...QUICK, LADING_SEALING_KEY: 'the second of two keys of this test', LADING_DELIVERY_ATTEMPTS: '1' };
  const server = await startServer(t, other, {}, first.dataDir);
  await store(server, 'letters.txt', ALPHABET);
  const [failed] = await settled(server, 'letters.txt');
  assert.match(failed?.last_error ?? '', /cannot be decrypted with the key of this server/);
  assert.deepEqual(await ftp.names(), []);
});

test('a large file is streamed, and sent again after the server crashed in mid-transfer', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t);
  await addTarget(server, ftp);
  const large = Buffer.alloc(48 * 1024 * 1024, 'lading ');

  await store(server, 'large.bin', large);
  const { id } = await statusOf(server, 'large.bin');
  await settled(server, 'large.bin');
  const [name] = await ftp.names();
  assert.ok(large.equals(await readFile(join(ftp.home, name as string))));
  await rm(join(ftp.home, name as string));
  await writeFile(join(ftp.home, `.${id}.part`), 'a leftover of the interrupted attempt');
  const [done] = await deliveries(server);
  const file = join(server.dataDir, 'v1/deliveries', `${done?.id}.json`);
  await server.close();
  const document = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...document, state: 'queued', endedAt: null, nextAt: 0 }));
  const again = await startServer(t, QUICK, {}, server.dataDir);
  await eventually(async () => (await deliveries(again, '?state=delivered')).length === 1, 'the second delivery');
  assert.deepEqual(await ftp.names(), [name]);
  assert.ok(large.equals(await readFile(join(ftp.home, name as string))));
});

test('an anonymous account needs no password', { skip }, async (t) => {
  const home = await temporaryFolder(t);
  const { username } = userInfo();
  const account = [`User ${username}`, 'Group root', `UserAlias anonymous ${FTP_USER}`, 'RequireValidShell off'];
  const lines = [`<Anonymous ${home}>`, ...account, '</Anonymous>'];
  const ftp = await startFtpServer(t, { home, lines });
  const server = await startServer(t, QUICK);
  const created = await post(server, '/api/deliveries/targets', { kind: 'ftp', host: '127.0.0.1', port: ftp.port });
  assert.equal(created.status, 201);
  assert.equal(((await created.json()) as Target).username, 'anonymous');
  await store(server, 'letters.txt', ALPHABET);
  const [delivery] = await settled(server, 'letters.txt');
  assert.equal(delivery?.state, 'delivered', String(delivery?.last_error));
});

test('invalid targets are refused and not stored', async (t) => {
  const server = await startServer(t);
  const ftp = { kind: 'ftp', host: 'files.example.org' };
  const hook = { kind: 'webhook', url: 'https://example.org/hook' };
  const wrong: object[] = [
    { kind: 'ftp' },
    { ...ftp, host: 'ftp://files.example.org' },
    { ...ftp, directory: 'in\r\nDELE x' },
    { ...ftp, username: 'a\nb', password: 'p' },
    { ...ftp, username: 'lading' },
    { ...ftp, username: 'lading', password: '' },
    { ...ftp, pattern: 'always-the-same' },
    { ...ftp, pattern: '../{name}' },
    { ...ftp, pattern: '{name}{secret}' },
    { ...ftp, kind: 'ftps', ca: 'no certificate' },
    { ...ftp, rule: { type: 'audio' } },
    { kind: 'webhook' },
    { ...hook, events: [] },
    { ...hook, secret: 'short' },
    { ...hook, url: 'ftp://example.org' },
    { ...hook, url: 'http://example.org/hook' },
    { ...hook, url: 'https://user:pw@example.org/hook' },
    { ...hook, url: 'https://127.0.0.1/hook' },
    { ...hook, url: 'https://0x7f.1/hook' },
    { ...hook, url: 'https://[::ffff:10.0.0.1]/hook' },
    { ...hook, url: 'https://169.254.169.254/latest' },
    { ...hook, url: 'https://localhost/hook' },
  ];
  for (const body of wrong) {
    await assertProblemReply(await post(server, '/api/deliveries/targets', body), 'invalid_request');
  }
  for (const body of [{}, { kind: 'sftp' }, { ...ftp, port: 0 }, { ...ftp, extra: 1 }, { ...hook, events: ['x'] }]) {
    await assertProblemReply(await post(server, '/api/deliveries/targets', body), 'validation_failed');
  }
  const { origin, admin } = server;
  const list = await fetch(`${origin}/api/deliveries/targets`, { headers: admin.headers });
  assert.deepEqual(await list.json(), { targets: [] });
  assert.equal((await post(server, '/api/deliveries/targets', ftp)).status, 201);
  await assertProblemReply(await post(server, '/api/deliveries/targets', ftp), 'already_exists');
  const unknown = await fetch(`${origin}/api/deliveries/targets/none`, { method: 'DELETE', headers: admin.headers });
  await assertProblemReply(unknown, 'not_found');
});

test('a file whose name is in use on the FTP server gets the next name, and no file is overwritten', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t);
  await writeFile(join(ftp.home, 'theirs.txt'), 'theirs');
  await addTarget(server, ftp, { pattern: '{name}' });
  const long = 'l'.repeat(300);
  const sent = ['x/y.txt', 'x_y.txt', 'theirs.txt', `${long}1.txt`, `${long}2.txt`];
  const contents = sent.map((name, i) => Buffer.from(`${i} ${name}`));
  await Promise.all(sent.map((name, i) => store(server, name, contents[i] as Buffer)));
  for (const name of sent) {
    const [delivery] = await settled(server, encodeURIComponent(name));
    assert.equal(delivery?.state, 'delivered', name);
  }
  const names = await ftp.names();
  assert.equal(names.length, 6, names.join());
  for (const name of ['x_y.txt', 'x_y_2.txt', 'theirs.txt', 'theirs_2.txt']) assert.ok(names.includes(name), name);
  assert.equal((await readFile(join(ftp.home, 'theirs.txt'))).toString(), 'theirs');
  const found = await Promise.all(names.map((name) => readFile(join(ftp.home, name), 'utf8')));
  assert.deepEqual(found.sort(), ['theirs', ...contents.map(String)].sort());
});
