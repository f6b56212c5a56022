/** Events to webhooks: signed, retried, and never sent to a redirect. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { NewTarget } from '../../../src/protocol/schemas/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { addHook, deliveries, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { startServer } from '../../support/product/server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';

test('a webhook gets the events of complete files, signed with the secret that was shown once', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const receiver = await startReceiver(t);
  const { secret = '' } = await addHook(server, receiver.url, { name: 'hook' });
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  receiver.secret = secret;
  await store(server, 'letters.txt', ALPHABET);
  await eventually(() => receiver.received.length === 1, 'the event');
  const [message] = receiver.received;
  assert.equal(message?.signed, true);
  assert.equal(message?.headers['content-type'], 'application/json');
  const { id, time, file_id, ...event } = message?.event ?? ({} as never);
  assert.ok(id && time && file_id);
  assert.deepEqual(event, {
    type: 'file.completed',
    tenant: 'default',
    owner: server.client.id,
    filename: 'letters.txt',
    bytes_received: 26,
    total_bytes: 26,
    content_type: 'text/plain',
    crc32: '4c2750bd',
    sha256: createHash('sha256').update(ALPHABET).digest('hex'),
    metadata: null,
    detail: null,
  });
  await eventually(
    async () => (await deliveries(server, '?state=delivered'))[0]?.id === message?.id,
    'the recorded delivery',
  );
  const { origin, admin, dataDir } = server;
  for (const [path, by] of [
    ['/api/deliveries/targets', admin],
    ['/api/config', admin],
  ] as const) {
    const text = await (await fetch(`${origin}${path}`, { headers: by.headers })).text();
    assert.ok(!text.includes(secret) && text.includes('"secret":"********"'), text);
  }
  await server.close();
  for (const name of await readdir(join(dataDir, 'v1/targets'))) {
    assert.ok(!(await readFile(join(dataDir, 'v1/targets', name), 'utf8')).includes(secret.slice(6)));
  }
});

test('a failed request is retried with the same id, even after a restart', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const receiver = await startReceiver(t);
  receiver.secret = 'a secret of my own choosing';
  await addHook(server, receiver.url, { secret: receiver.secret });
  receiver.answer(500);
  await store(server, 'letters.txt', ALPHABET);
  await eventually(() => receiver.received.length >= 1, 'the first attempt');
  await server.close();
  const attempts = receiver.received.length;
  receiver.answer(200);
  const again = await startServer(t, WEBHOOK_SETTINGS, {}, server.dataDir);
  await eventually(async () => (await deliveries(again, '?state=delivered')).length === 1, 'the delivery');
  assert.equal(receiver.received.length, attempts + 1);
  assert.deepEqual(new Set(receiver.received.map(({ id }) => id)).size, 1);
  assert.ok(receiver.received.every(({ signed }) => signed));
});

test('a webhook gets every type of event it selected', async (t) => {
  const server = await startServer(t, {
    ...WEBHOOK_SETTINGS,
    LADING_STALE_SECONDS: '1',
    LADING_DELIVERY_ATTEMPTS: '1',
  });
  const receiver = await startReceiver(t);
  const { origin, admin, client } = server;
  const all: NewTarget['events'] = [
    'file.created',
    'chunk.received',
    'file.completed',
    'file.deleted',
    'upload.stale',
    'delivery.failed',
    'auth.refused',
  ];
  receiver.secret = (await addHook(server, receiver.url, { name: 'all', events: all })).secret ?? '';
  const types = (name: string) =>
    receiver.received.flatMap(({ event }) => (event.filename === name ? [event.type] : [])).sort();
  await put(server, 'letters.txt', 0, ALPHABET.subarray(0, 10), { total_size: '26' });
  await put(server, 'letters.txt', 10, ALPHABET.subarray(10));
  await fetch(`${origin}/api/files/letters.txt`, { method: 'DELETE', headers: client.headers });
  await eventually(() => types('letters.txt').length >= 4, 'four events');
  assert.deepEqual(
    [...new Set(types('letters.txt'))],
    ['chunk.received', 'file.completed', 'file.created', 'file.deleted'],
  );
  const chunks = receiver.received.filter(({ event }) => event.type === 'chunk.received');
  assert.equal(
    chunks.reduce((sum, { event }) => sum + (event.chunk_bytes ?? 0), 0),
    26,
  );

  await put(server, 'stale.txt', 0, ALPHABET.subarray(0, 10), { total_size: '26' });
  await eventually(async () => {
    await fetch(`${origin}/api/sweep`, { method: 'POST', headers: admin.headers });
    return types('stale.txt').includes('upload.stale');
  }, 'a parked upload');

  const stale = receiver.received.find(({ event }) => event.type === 'upload.stale')?.event;
  assert.deepEqual([stale?.filename, stale?.owner, stale?.bytes_received], ['stale.txt', client.id, 10]);
  assert.match(stale?.detail ?? '', /^kept until \d{4}-/);

  await fetch(`${origin}/api/files`, { headers: { authorization: 'Bearer nonsense' } });
  await eventually(() => receiver.received.some(({ event }) => event.type === 'auth.refused'), 'a refusal');
  const refused = receiver.received.find(({ event }) => event.type === 'auth.refused');
  assert.match(refused?.event.detail ?? '', /unauthorized/);
  assert.ok(!JSON.stringify(refused?.event).includes('nonsense'));

  const receivedByOwner = await startReceiver(t);
  const rule = { owner: client.id };
  await addHook(server, receivedByOwner.url, { name: 'owner', events: ['delivery.failed'], rule });
  // No server listens on this port.
  await addHook(server, 'http://127.0.0.1:9/hook', { name: 'dead', rule: { prefix: 'dead' } });
  await store(server, 'dead.txt', ALPHABET);
  await eventually(() => types('dead.txt').includes('delivery.failed'), 'a failure');
  await eventually(() => receivedByOwner.received.length > 0, 'the failure for its owner');
  const failure = receiver.received.find(({ event }) => event.type === 'delivery.failed');
  assert.match(failure?.event.detail ?? '', /^dead: .*ECONNREFUSED/);
  // A target for the files of one owner shows only what that owner may know.
  assert.match(
    receivedByOwner.received[0]?.event.detail ?? '',
    /^dead: failed permanently; an administrator can see the reason/,
  );
  assert.ok(receiver.received.every(({ signed }) => signed));
});

test('a redirect is not followed and fails the delivery at once', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const end = await startReceiver(t);
  const first = await startReceiver(t);
  await addHook(server, first.url);
  const redirects = [301, 302, 303, 307, 308];
  for (const status of redirects) {
    first.answer(status, { location: end.url });
    await store(server, `${status}.txt`, ALPHABET);
    await eventually(
      async () => (await deliveries(server, '?state=failed')).some(({ filename }) => filename === `${status}.txt`),
      `the failure with ${status}`,
    );
  }
  for (const { attempts, last_error: error } of await deliveries(server, '?state=failed')) {
    assert.equal(attempts, 1);
    assert.match(error ?? '', /^the receiver answered 30\d, a redirect, which is not followed/);
  }
  assert.deepEqual([end.received.length, first.received.length], [0, redirects.length]);
});
