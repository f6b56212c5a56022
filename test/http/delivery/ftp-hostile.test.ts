/** Deliveries to restrictive FTP servers: no leftovers, no overwritten files, and errors that show the reply of the server. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { addTarget, deliveries, settled, statusOf, store } from '../../support/product/delivering.ts';
import { atEnd, startServer, type TestServer } from '../../support/product/server.ts';
import { type FtpOptions, noFtpServer } from '../../support/servers/ftp-server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { DENIED, everything, large, NAMED, partlySent, SLOW } from './ftp-hostile-setup.ts';
import { begin, QUICK, skip } from './ftp-setup.ts';

async function remove({ origin, client }: TestServer, name: string): Promise<void> {
  const reply = await fetch(`${origin}/api/files/${name}`, { method: 'DELETE', headers: client.headers });
  assert.equal(reply.status, 200);
}

async function removeTarget({ origin, admin }: TestServer, id: string): Promise<void> {
  const url = `${origin}/api/deliveries/targets/${id}`;
  assert.equal((await fetch(url, { method: 'DELETE', headers: admin.headers })).status, 200);
}

const SERVERS: [string, FtpOptions][] = [
  ['with TLS', { tls: true }],
  ['with TLS whose session must be reused', { tls: true, reuse: true }],
  ['with TLS from the first byte', { tls: true, implicit: true }],
  ['with TLS from the first byte whose session must be reused', { tls: true, implicit: true, reuse: true }],
  ['without EPSV', { lines: ['<Limit EPSV>', 'DenyAll', '</Limit>'] }],
  [
    'that advertises a private address',
    { lines: ['<Limit EPSV>', 'DenyAll', '</Limit>', 'MasqueradeAddress 10.11.12.13'] },
  ],
  [
    'that advertises a private address, with TLS',
    {
      tls: true,
      reuse: true,
      lines: ['<Limit EPSV>', 'DenyAll', '</Limit>', 'MasqueradeAddress 10.11.12.13'],
    },
  ],
  ['that forbids overwriting', { overwrite: false }],
  ['without SIZE', { lines: ['<Limit SIZE>', 'DenyAll', '</Limit>'] }],
  ['without SIZE and listings', { lines: ['<Limit SIZE LIST NLST MLSD>', 'DenyAll', '</Limit>'] }],
  ['that forbids creating directories', { lines: ['<Limit MKD XMKD>', 'DenyAll', '</Limit>'] }],
  ['that forbids deleting directories', { lines: ['<Limit RMD XRMD>', 'DenyAll', '</Limit>'] }],
  ['that forbids deleting', { lines: ['<Limit RMD XRMD DELE>', 'DenyAll', '</Limit>'] }],
  [
    'that forbids deleting and overwriting',
    { overwrite: false, lines: ['<Limit RMD XRMD DELE>', 'DenyAll', '</Limit>'] },
  ],
  ['that allows SIZE but no listings', { lines: ['<Limit LIST NLST MLSD MLST STAT>', 'DenyAll', '</Limit>'] }],
  [
    'that does not list hidden names',
    { lines: ['ListOptions "-l" strict', 'FactsAdvertise off', ...DENIED('MLSD', 'MLST')] },
  ],
  ['without MLSD', { lines: ['FactsAdvertise off', '<Limit MLSD MLST>', 'DenyAll', '</Limit>'] }],
  ['that hides incomplete files', { lines: ['HiddenStores on', 'DeleteAbortedStores on'] }],
  ['that forbids downloads', { lines: ['<Limit RETR>', 'DenyAll', '</Limit>'] }],
];

/** The reason why this machine cannot mount a file system of a limited size; false if it can. */
function noSmallDisk(): string | false {
  if (noFtpServer) return noFtpServer;
  const folder = spawnSync('mktemp', ['-d']).stdout.toString().trim();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
  if (mounted.status === 0) spawnSync('umount', [folder]);
  spawnSync('rmdir', [folder]);
  return mounted.status === 0 ? false : 'no file system can be mounted here';
}

for (const [how, options] of SERVERS) {
  test(`an FTP server ${how} gets empty, small and large files, two of them under the same name`, {
    skip,
  }, async (t) => {
    const { ftp, server } = await begin(t, options);
    const secure = options.tls
      ? {
          kind: 'ftps' as const,
          host: 'localhost',
          ca: ftp.ca ?? '',
          security: options.implicit ? ('implicit' as const) : ('explicit' as const),
        }
      : {};
    await addTarget(server, ftp, { ...NAMED, ...secure });
    const sent: [string, Buffer][] = [
      ['a/x.bin', Buffer.alloc(0)],
      ['b.bin', ALPHABET],
      ['a_x.bin', large],
      ['empty.bin', Buffer.alloc(0)],
    ];
    for (const [name, bytes] of sent) {
      if (bytes.length === 0) await put(server, name, 0, bytes, { total_size: '0' });
      else await store(server, name, bytes);
      const [delivery] = await settled(server, encodeURIComponent(name));
      assert.deepEqual([delivery?.state, delivery?.attempts], ['delivered', 1], `${name}: ${delivery?.last_error}`);
    }
    const names = await everything(ftp);
    assert.equal(names.length, sent.length, names.join());
    assert.ok(
      names.every((name) => !name.startsWith('.')),
      names.join(),
    );
    const found = await Promise.all(names.map(async (name) => (await readFile(join(ftp.home, name))).toString('hex')));
    assert.deepEqual(found.sort(), sent.map(([, bytes]) => bytes.toString('hex')).sort());
  });
}

test('an ftps:// address selects TLS from the first byte', { skip }, async (t) => {
  const { ftp, server } = await begin(t, { tls: true, implicit: true });
  const { port: _, ...target } = await addTarget(server, ftp, {
    kind: 'ftps',
    host: `ftps://localhost:${ftp.port}`,
    ca: ftp.ca ?? '',
  });
  assert.deepEqual([target.host, target.security], ['localhost', 'implicit']);
  await store(server, 'letters.txt', ALPHABET);
  assert.equal((await settled(server, 'letters.txt'))[0]?.state, 'delivered');
});

for (const overwrite of [true, false]) {
  test(`a server killed in mid-transfer, ${overwrite ? 'with' : 'without'} overwriting, keeps nothing of the first attempt`, {
    skip,
  }, async (t) => {
    const { ftp, server } = await begin(t, { ...SLOW, overwrite });
    await addTarget(server, ftp, NAMED);
    await store(server, 'large.bin', large);
    const first = await partlySent(ftp, large.length / 4);
    await ftp.stop();
    assert.ok((await everything(ftp)).includes(first));
    await ftp.start();
    const [delivery] = await settled(server, 'large.bin');
    assert.equal(delivery?.state, 'delivered');
    assert.deepEqual(await everything(ftp), ['large.bin']);
    assert.ok(large.equals(await readFile(join(ftp.home, 'large.bin'))));
  });
}

test('deleting the file or the target, in mid-transfer or while the FTP server is down, removes the partial file', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t, SLOW);
  const target = await addTarget(server, ftp, NAMED);
  await store(server, 'deleted.bin', large);
  await partlySent(ftp, large.length / 8);
  await remove(server, 'deleted.bin');
  await eventually(async () => (await everything(ftp)).length === 0, 'an empty directory');

  await store(server, 'one.bin', large);
  await partlySent(ftp, large.length / 8);
  await ftp.stop();
  await remove(server, 'one.bin');
  await store(server, 'two.bin', large);
  await eventually(async () => ((await statusOf(server, 'two.bin')).deliveries?.[0]?.attempts ?? 0) >= 1, 'an attempt');
  await ftp.start();
  await eventually(async () => (await everything(ftp)).some((name) => name.endsWith('.part')), 'the next transfer');
  await removeTarget(server, target.id);
  await eventually(async () => (await everything(ftp)).length === 0, 'an empty directory');
  const stored = join(server.dataDir, 'v1/targets');
  await eventually(async () => (await readdir(stored)).length === 0, 'the end of the target');
  assert.ok((await deliveries(server)).every(({ state }) => state === 'cancelled'));
});

test('a partial file of a deleted target is removed after both servers were down', { skip }, async (t) => {
  const { ftp, server } = await begin(t, SLOW);
  const target = await addTarget(server, ftp, NAMED);
  await store(server, 'large.bin', large);
  await partlySent(ftp, large.length / 8);
  await ftp.stop();
  await removeTarget(server, target.id);
  await server.close();
  assert.equal((await everything(ftp)).length, 1);
  await ftp.start();
  const again = await startServer(t, QUICK, {}, server.dataDir);
  await eventually(async () => (await everything(ftp)).length === 0, 'an empty directory');
  const stored = join(server.dataDir, 'v1/targets');
  await eventually(async () => (await readdir(stored)).length === 0, 'the end of the target');
  const list = await fetch(`${again.origin}/api/deliveries/targets`, { headers: again.admin.headers });
  assert.deepEqual(await list.json(), { targets: [] });
});

test('a full remote disk: the error shows its reply, smaller files are delivered, and the large one once there is space', {
  skip: noSmallDisk(),
}, async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'lading-disk-'));
  atEnd(t, () => rm(home, { recursive: true, force: true }));
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', home]).status, 0);
  atEnd(t, async () => {
    spawnSync('umount', ['-l', home]);
  });
  const { ftp, server } = await begin(t, { home });
  await addTarget(server, ftp, NAMED);
  await store(server, 'large.bin', large);
  await eventually(
    async () => ((await statusOf(server, 'large.bin')).deliveries?.[0]?.attempts ?? 0) >= 1,
    'an attempt',
  );
  assert.match((await statusOf(server, 'large.bin')).deliveries?.[0]?.last_error ?? '', /^(451|452|552|426) .*/);
  await store(server, 'small.bin', ALPHABET);
  assert.equal((await settled(server, 'small.bin'))[0]?.state, 'delivered');
  assert.equal(spawnSync('mount', ['-o', 'remount,size=32m', home]).status, 0);
  assert.equal((await settled(server, 'large.bin'))[0]?.state, 'delivered');
  assert.deepEqual(await everything(ftp), ['large.bin', 'small.bin']);
});

test('a file that the FTP server refuses does not delay others, and the error shows the reply', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t, { lines: ['<Limit RNTO>', 'DenyAll', '</Limit>'] });
  await addTarget(server, ftp, NAMED);
  for (const name of ['one.txt', 'two.txt', 'three.txt']) await store(server, name, Buffer.from(name));
  for (const name of ['one.txt', 'two.txt', 'three.txt']) {
    // If the target were paused, the third file would not get a second attempt.
    await eventually(
      async () => ((await statusOf(server, name)).deliveries?.[0]?.attempts ?? 0) >= 2,
      `two attempts of ${name}`,
    );
    assert.match((await statusOf(server, name)).deliveries?.[0]?.last_error ?? '', /^550 /);
  }
  const { origin, client } = server;
  const own = await fetch(`${origin}/api/files/status/one.txt`, { headers: client.headers });
  assert.doesNotMatch(await own.text(), /550/);
});

test('a file whose name is taken by a directory gets the next name', { skip }, async (t) => {
  const { ftp, server } = await begin(t);
  await mkdir(join(ftp.home, 'letters.txt'));
  await addTarget(server, ftp, NAMED);
  await store(server, 'letters.txt', ALPHABET);
  assert.equal((await settled(server, 'letters.txt'))[0]?.state, 'delivered');
  assert.deepEqual(await everything(ftp), ['letters.txt', 'letters_2.txt']);
});
