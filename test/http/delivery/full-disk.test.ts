/** Events while the disk is full: each is still delivered, once. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fillUp, NO_SMALL_DISK, smallDisk } from '../../support/disk/small-disk.ts';
import { eventually } from '../../support/eventually.ts';
import { addHook, deliveries, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { startServer } from '../../support/product/server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';

test('events are delivered while the disk is full, and stored once there is space', async (t) => {
  const disk = await smallDisk(t, 24 * 1024 * 1024);
  if (!disk) return t.skip(NO_SMALL_DISK);
  const dataDir = join(disk.folder, 'data');
  const server = await startServer(t, WEBHOOK_SETTINGS, {}, dataDir);
  disk.beforeUnmount(() => server.close());
  const { origin, client, admin } = server;
  const receiver = await startReceiver(t);
  const { id } = await addHook(server, receiver.url, {
    events: ['file.completed', 'file.deleted', 'admin.changed'],
  });
  const typesOf = (name: string): string[] =>
    receiver.received.filter(({ event }) => event.filename === name).map(({ event }) => event.type);
  for (const name of ['one.txt', 'two.txt']) await store(server, name, ALPHABET);
  await eventually(() => typesOf('one.txt').length === 1 && typesOf('two.txt').length === 1, 'both files');
  const remove = async (name: string): Promise<number> =>
    (await fetch(`${origin}/api/files/${name}`, { method: 'DELETE', headers: client.headers })).status;

  await fillUp(disk.folder);
  assert.equal(await remove('one.txt'), 200);
  await eventually(() => typesOf('one.txt').includes('file.deleted'), 'the deleted file');

  // A refused upload has no event.
  await fillUp(disk.folder, 'more');
  const put = { method: 'PUT', headers: client.headers, body: Buffer.alloc(400_000) };
  assert.equal((await fetch(`${origin}/api/files/content/three.bin`, put)).status, 507);

  receiver.answer(500);
  await fillUp(disk.folder, 'yet more');
  const tries = receiver.received.length;
  assert.equal(await remove('two.txt'), 200);
  await eventually(() => receiver.received.length > tries, 'an attempt');
  await fillUp(disk.folder, 'the rest');
  const list = await fetch(`${origin}/api/deliveries?target=${id}`, { headers: admin.headers });
  assert.equal(list.status, 200);

  // A queued event is stored with its next attempt, and so survives a restart.
  for (const name of ['last', 'more', 'yet more', 'the rest']) await rm(join(disk.folder, name), { force: true });
  const waiting = async () =>
    (await deliveries(server, '?state=queued')).find(({ filename }) => filename === 'two.txt');
  const now = (await waiting())?.attempts ?? 0;
  await eventually(async () => ((await waiting())?.attempts ?? 0) > now, 'an attempt with space');
  await server.close();
  receiver.answer(204);
  const again = await startServer(t, WEBHOOK_SETTINGS, {}, dataDir);
  disk.beforeUnmount(() => again.close());
  await eventually(async () => (await deliveries(again, '?state=queued')).length === 0, 'all of them');
  const deleted = receiver.received.filter(({ event }) => event.type === 'file.deleted');
  assert.equal(new Set(deleted.map(({ id: one, event }) => `${one} ${event.filename}`)).size, 2);
  assert.deepEqual(typesOf('three.bin'), []);
});

test('an administrative change on a full disk is delivered as an event, even if the audit log cannot record it', async (t) => {
  const disk = await smallDisk(t, 24 * 1024 * 1024);
  if (!disk) return t.skip(NO_SMALL_DISK);
  const server = await startServer(t, WEBHOOK_SETTINGS, {}, join(disk.folder, 'data'));
  disk.beforeUnmount(() => server.close());
  const { origin, admin } = server;
  const receiver = await startReceiver(t);
  await addHook(server, receiver.url, { events: ['admin.changed'] });
  const { id } = await addHook(server, receiver.url, { name: 'other', events: ['file.deleted'] });
  const received = (detail: string): boolean => receiver.received.some(({ event }) => event.detail === detail);
  await eventually(() => received(`target_created ${id}`), 'the new target');
  await fillUp(disk.folder);
  const url = `${origin}/api/deliveries/targets/${id}`;
  assert.equal((await fetch(url, { method: 'DELETE', headers: admin.headers })).status, 200);
  await eventually(() => received(`target_deleted ${id}`), 'the deleted target');
});
