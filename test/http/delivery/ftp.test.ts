/** Deliveries of complete files to real FTP servers, which stop and start again. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../../support/eventually.ts';
import { addTarget, deliveries, post, settled, statusOf, store } from '../../support/product/delivering.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { startFtpServer } from '../../support/servers/ftp-server.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { begin, QUICK, skip } from './ftp-setup.ts';

/** Matches the default name of a delivered file, at any time. */
function defaultName({ client }: TestServer, name: string): RegExp {
  return new RegExp(`^\\d{8}_\\d{6}_${client.id}_${name.replaceAll('.', '\\.')}$`);
}

test('a complete file is delivered by FTP under its default name', { skip }, async (t) => {
  const { ftp, server } = await begin(t);
  await store(server, 'before.txt', ALPHABET);
  await addTarget(server, ftp, { directory: 'in/coming' });
  await store(server, 'a/letters.txt', ALPHABET);
  assert.deepEqual(await settled(server, 'a/letters.txt'), [
    { target: 'archive', state: 'delivered', attempts: 1, last_error: null },
  ]);
  const names = await ftp.names('in/coming');
  assert.equal(names.length, 1, names.join());
  assert.match(names[0] as string, defaultName(server, 'a_letters.txt'));
  assert.deepEqual(await readFile(join(ftp.home, 'in/coming', names[0] as string)), ALPHABET);
  assert.equal((await statusOf(server, 'before.txt')).deliveries, undefined, 'complete before the target was created');
});

test('FTPS trusts the configured certificate and refuses an unknown one', { skip }, async (t) => {
  const ftp = await startFtpServer(t, { tls: true });
  const server = await startServer(t, { ...QUICK, LADING_DELIVERY_ATTEMPTS: '1' });
  await addTarget(server, ftp, { kind: 'ftps', name: 'trusted', ca: ftp.ca ?? '', host: 'localhost' });
  await addTarget(server, ftp, { kind: 'ftps', name: 'refused', host: 'localhost' });
  await store(server, 'letters.txt', ALPHABET);
  const [one, two] = (await settled(server, 'letters.txt')).sort((a, b) => (a.target < b.target ? 1 : -1));
  assert.deepEqual([one?.target, one?.state], ['trusted', 'delivered']);
  assert.deepEqual([two?.target, two?.state], ['refused', 'failed']);
  assert.match(two?.last_error ?? '', /certificate/i);
  assert.equal((await ftp.names()).length, 1);
});

test('an FTP server that was down gets every file once it is back, even after a restart of Lading', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t);
  const { dataDir } = server;
  await addTarget(server, ftp);
  await ftp.stop();
  for (const name of ['one.txt', 'two.txt', 'three.txt']) await store(server, name, Buffer.from(name));
  await eventually(async () => ((await statusOf(server, 'one.txt')).deliveries?.[0]?.attempts ?? 0) >= 1, 'an attempt');
  const [waiting] = (await statusOf(server, 'one.txt')).deliveries ?? [];
  assert.equal(waiting?.state, 'queued');
  assert.match(waiting?.last_error ?? '', /ECONNREFUSED/);
  // Deliveries that fail do not affect uploads and downloads.
  assert.equal((await statusOf(server, 'three.txt')).status, 'complete');
  await server.close();
  await ftp.start();
  const again = await startServer(t, QUICK, {}, dataDir);
  await eventually(async () => (await deliveries(again, '?state=delivered')).length === 3, 'the recorded delivery');
  const names = await ftp.names();
  for (const name of ['one.txt', 'two.txt', 'three.txt']) {
    const found = names.find((entry) => entry.endsWith(`_${name}`));
    assert.equal(await readFile(join(ftp.home, found ?? ''), 'utf8'), name);
  }
});

test('a crash before the delivery of a complete file is recorded does not lose the delivery', { skip }, async (t) => {
  const { ftp, server } = await begin(t);
  const { dataDir } = server;
  await addTarget(server, ftp);
  await ftp.stop();
  await store(server, 'letters.txt', ALPHABET);
  await server.close();
  // Simulates a power loss before the document was written.
  const folder = join(dataDir, 'v1/deliveries');
  for (const name of await readdir(folder)) await rm(join(folder, name));
  await ftp.start();
  const again = await startServer(t, QUICK, {}, dataDir);
  await eventually(async () => (await deliveries(again, '?state=delivered')).length === 1, 'the recorded delivery');
  // A finished delivery is not repeated.
  await again.close();
  await startServer(t, QUICK, {}, dataDir);
  assert.equal((await readdir(folder)).length, 1);
});

test('a delivery fails after the maximum number of attempts, and an administrator can retry it', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t, {}, { LADING_DELIVERY_ATTEMPTS: '2' });
  await addTarget(server, ftp);
  await ftp.stop();
  await store(server, 'letters.txt', ALPHABET);
  const [failed] = await settled(server, 'letters.txt');
  assert.deepEqual([failed?.state, failed?.attempts], ['failed', 2]);
  const [listed] = await deliveries(server, '?state=failed');
  assert.equal(listed?.filename, 'letters.txt');
  assert.equal(listed?.owner, server.client.id);
  assert.equal(listed?.next_attempt_at, null);
  await ftp.start();
  const retried = await post(server, `/api/deliveries/${listed?.id}/retry`, {});
  assert.equal(retried.status, 200);
  const [delivered] = await settled(server, 'letters.txt');
  assert.deepEqual([delivered?.state, delivered?.attempts, delivered?.last_error], ['delivered', 1, null]);
  await assertProblemReply(await post(server, `/api/deliveries/${listed?.id}/retry`, {}), 'invalid_request');
  await assertProblemReply(await post(server, '/api/deliveries/nothing/retry', {}), 'not_found');
});

test('a file that is deleted or replaced before it is sent is not delivered, but its replacement is', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t);
  await addTarget(server, ftp);
  await ftp.stop();
  await store(server, 'deleted.txt', ALPHABET);
  await store(server, 'other.txt', ALPHABET);
  const { origin, client } = server;
  await fetch(`${origin}/api/files/deleted.txt`, { method: 'DELETE', headers: client.headers });
  await store(server, 'other.txt', Buffer.from('replaced'), { overwrite: 'true' });
  await eventually(async () => (await deliveries(server, '?state=cancelled')).length === 2, 'both cancelled');
  await ftp.start();
  assert.equal((await settled(server, 'other.txt'))[0]?.state, 'delivered');
  const [name, ...more] = await ftp.names();
  assert.equal(await readFile(join(ftp.home, name as string), 'utf8'), 'replaced');
  assert.deepEqual(more, []);
  const [cancelled] = await deliveries(server, '?state=cancelled');
  await assertProblemReply(await post(server, `/api/deliveries/${cancelled?.id}/retry`, {}), 'invalid_request');
});

test('rules select files by owner, prefix and type; a deleted target gets no more files', {
  skip,
}, async (t) => {
  const { ftp, server } = await begin(t);
  const sound = await addTarget(server, ftp, { name: 'sound', directory: 'sound', rule: { type: 'audio/*' } });
  await addTarget(server, ftp, { name: 'logs', directory: 'logs', rule: { prefix: 'logs/', type: 'text/plain' } });
  await addTarget(server, ftp, { name: 'mine', directory: 'mine', rule: { owner: server.client.id } });
  await addTarget(server, ftp, { name: 'other', directory: 'other', rule: { owner: 'somebody-else' } });
  await store(server, 'song.wav', ALPHABET);
  await store(server, 'logs/today.txt', ALPHABET);
  const targets = async (name: string) => (await settled(server, name)).map(({ target }) => target).sort();
  assert.deepEqual(await targets('song.wav'), ['mine', 'sound']);
  assert.deepEqual(await targets('logs/today.txt'), ['logs', 'mine']);
  const { origin, admin } = server;
  const deleted = await fetch(`${origin}/api/deliveries/targets/${sound.id}`, {
    method: 'DELETE',
    headers: admin.headers,
  });
  assert.equal(deleted.status, 200);
  await store(server, 'second.wav', ALPHABET);
  assert.deepEqual(await targets('second.wav'), ['mine']);
  assert.equal((await ftp.names('sound')).length, 1);
});
