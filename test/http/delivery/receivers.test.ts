/** Webhook receivers that answer unusually or not at all do not affect other targets. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createPlainServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { retryAfterOf } from '../../../src/delivery/webhook.ts';
import type { Target } from '../../../src/protocol/schemas/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { addHook, deliveries, post, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { atEnd, startServer, type TestServer } from '../../support/product/server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { ALPHABET } from '../../support/wire/downloads.ts';
import { begin, TYPE } from '../../support/wire/tus.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

/** A receiver that answers each complete request with `answer`. */
async function receiverThat(t: TestContext, answer: (response: ServerResponse) => void) {
  const seen = { requests: 0, url: '' };
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      seen.requests += 1;
      answer(response);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  seen.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  atEnd(t, async () => {
    server.close();
    server.closeAllConnections();
  });
  return seen;
}

/** A receiver that accepts connections and never answers, or sends `text` again and again. */
async function silent(t: TestContext, text = ''): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createPlainServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    if (text !== '') {
      const timer = setInterval(() => socket.write(text), 50);
      socket.on('close', () => clearInterval(timer));
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  atEnd(t, async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}

const targetsOf = async ({ origin, admin }: TestServer): Promise<Target[]> => {
  const reply = await fetch(`${origin}/api/deliveries/targets`, { headers: admin.headers });
  return ((await reply.json()) as { targets: Target[] }).targets;
};

function change({ origin, admin }: TestServer, id: string, disabled: boolean): Promise<Response> {
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  const body = JSON.stringify({ disabled });
  return fetch(`${origin}/api/deliveries/targets/${id}`, { method: 'PATCH', headers, body });
}

test('the status of a reply counts, even if its body never ends', async (t) => {
  const server = await startServer(t, { ...WEBHOOK_SETTINGS, LADING_DELIVERY_ATTEMPTS: '1' });
  const endless = (status: number) => (response: ServerResponse) => {
    response.writeHead(status).write('x');
    const timer = setInterval(() => response.write('x'.repeat(1000)), 20);
    response.on('close', () => clearInterval(timer));
  };
  const accepting = await receiverThat(t, endless(200));
  const refusing = await receiverThat(t, endless(500));
  await addHook(server, accepting.url, { name: 'accepting' });
  await addHook(server, refusing.url, { name: 'refusing' });
  await store(server, 'letters.txt', ALPHABET);
  await eventually(async () => {
    const all = await deliveries(server);
    return all.length === 2 && all.every(({ ended_at: ended }) => ended !== null);
  }, 'the end of both deliveries');
  const states = Object.fromEntries((await deliveries(server)).map(({ target, state }) => [target, state]));
  assert.deepEqual(states, { accepting: 'delivered', refusing: 'failed' });
});

test('a dozen receivers that do not answer do not delay another, even with a single slot', async (t) => {
  const server = await startServer(t, { ...WEBHOOK_SETTINGS, LADING_DELIVERY_PARALLEL: '1' });
  for (let index = 0; index < 12; index += 1) {
    const url = await silent(t, ['', 'HTTP/1.1 200 OK\r\nx: y\r\n', 'x'][index % 3]);
    await addHook(server, url, { name: `silent ${index}`, content: index % 2 === 0 ? 'event' : 'file' });
  }
  const accepting = await startReceiver(t);
  await addHook(server, accepting.url, { name: 'accepting' });
  for (let index = 0; index < 5; index += 1) await store(server, `${index}.txt`, ALPHABET);
  await eventually(() => accepting.received.length === 5, 'five events');
  const waiting = await deliveries(server, '?limit=1000');
  assert.ok(waiting.filter(({ target }) => target !== 'accepting').every(({ state }) => state !== 'delivered'));
});

test('410 ends a delivery and disables its target with a reason; once enabled, the target gets new events', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const receiver = await startReceiver(t);
  const audience = await startReceiver(t);
  await addHook(server, audience.url, { name: 'audience', events: ['admin.changed', 'delivery.failed'] });
  const { id } = await addHook(server, receiver.url, { name: 'disabled' });
  receiver.answer(410);
  await store(server, 'one.txt', ALPHABET);
  await eventually(async () => (await targetsOf(server)).some(({ disabled }) => disabled), 'a disabled target');
  const target = (await targetsOf(server)).find((entry) => entry.id === id);
  assert.match(target?.disabled?.reason ?? '', /410/);
  const [failed] = await deliveries(server, `?target=${id}`);
  assert.deepEqual([failed?.state, failed?.attempts], ['failed', 1]);
  await eventually(
    () => audience.received.some(({ event }) => event.detail === 'target_disabled disabled'),
    'the event of the disabled target',
  );
  assert.ok(audience.received.some(({ event }) => event.type === 'delivery.failed'));
  const attempts = receiver.received.length;
  receiver.answer(204);
  await store(server, 'two.txt', ALPHABET);
  await assertProblemReply(await post(server, `/api/deliveries/${failed?.id}/retry`, {}), 'invalid_request');
  await server.close();
  const again = await startServer(t, WEBHOOK_SETTINGS, {}, server.dataDir);
  const enabled = await change(again, id, false);
  assert.equal(enabled.status, 200);
  assert.equal(((await enabled.json()) as Target).disabled, undefined);
  await store(again, 'three.txt', ALPHABET);
  await eventually(() => receiver.received.length === attempts + 1, 'the third file');
  assert.equal(receiver.received.at(-1)?.event.filename, 'three.txt');
  // The failed delivery may be retried now.
  assert.equal((await post(again, `/api/deliveries/${failed?.id}/retry`, {})).status, 200);
  await eventually(() => receiver.received.length === attempts + 2, 'the first file');
  await again.close();
  await startServer(t, WEBHOOK_SETTINGS, {}, server.dataDir);
  assert.ok(receiver.received.every(({ event }) => event.filename !== 'two.txt'));
});

test('a target that an administrator disables gets no more events, and its queued deliveries are cancelled', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const receiver = await startReceiver(t);
  const { id } = await addHook(server, receiver.url);
  receiver.answer(500);
  await store(server, 'one.txt', ALPHABET);
  await eventually(() => receiver.received.length > 0, 'an attempt');
  assert.equal((await change(server, id, true)).status, 200);
  assert.equal((await deliveries(server, '?state=cancelled')).length, 1);
  await store(server, 'two.txt', ALPHABET);
  assert.equal((await deliveries(server)).length, 1);
  await assertProblemReply(await change(server, 'none', true), 'not_found');
});

for (const status of [429, 503]) {
  test(`${status} with Retry-After delays the delivery and all others of its target`, async (t) => {
    const server = await startServer(t, WEBHOOK_SETTINGS);
    const receiver = await startReceiver(t);
    await addHook(server, receiver.url);
    receiver.answer(status, { 'retry-after': '1800' });
    await store(server, 'one.txt', ALPHABET);
    await eventually(async () => (await deliveries(server))[0]?.attempts === 1, 'an attempt');
    const [first] = await deliveries(server);
    const wait = Date.parse(first?.next_attempt_at ?? '') - Date.now();
    assert.ok(wait > 1_700_000 && wait <= 1_800_000, String(wait));
    await store(server, 'two.txt', ALPHABET);
    // Another target still gets its events, so only this one is paused.
    const other = await startReceiver(t);
    await addHook(server, other.url, { name: 'other' });
    await store(server, 'three.txt', ALPHABET);
    await eventually(() => other.received.length === 1, 'the other target');
    assert.equal(receiver.received.length, 1);
  });
}

test('Retry-After is a number of seconds or a date, and is limited to one hour', () => {
  const now = Date.parse('2026-11-30T12:00:00Z');
  assert.equal(retryAfterOf('120', now), 120_000);
  assert.equal(retryAfterOf('Mon, 30 Nov 2026 12:05:00 GMT', now), 300_000);
  assert.equal(retryAfterOf('Mon, 30 Nov 2026 11:00:00 GMT', now), 0);
  assert.equal(retryAfterOf('99999999999', now), 3_600_000);
  for (const invalid of [undefined, '', 'soon', '-5', ['x', '5']]) assert.equal(retryAfterOf(invalid, now), 0);
});

test('other refusals are retried and do not pause the target', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const refusals = await receiverThat(t, (response) => void response.writeHead(404).end());
  await addHook(server, refusals.url);
  for (const name of ['one.txt', 'two.txt', 'three.txt']) await store(server, name, ALPHABET);
  await eventually(async () => {
    const all = await deliveries(server);
    return all.length === 3 && all.every(({ attempts }) => attempts >= 2);
  }, 'two attempts of each');
  assert.ok((await deliveries(server)).every(({ last_error: error }) => error === 'the receiver answered 404'));
});

test('the event of a complete file has its SHA-256 and metadata, the same in every attempt', async (t) => {
  const server = await startServer(t, WEBHOOK_SETTINGS);
  const receiver = await startReceiver(t);
  receiver.answer(500);
  receiver.secret = (await addHook(server, receiver.url)).secret ?? '';
  const metadata = `filename ${btoa('a.txt')},camera ${btoa('seven')},empty`;
  await begin(server, { 'upload-length': '26', 'upload-metadata': metadata, 'content-type': TYPE }, ALPHABET);
  await eventually(() => receiver.received.length >= 2, 'two attempts');
  for (const { event, signed } of receiver.received) {
    assert.equal(signed, true);
    assert.equal(event.sha256, createHash('sha256').update(ALPHABET).digest('hex'));
    assert.deepEqual(event.metadata, { filename: 'a.txt', camera: 'seven', empty: '' });
  }
});
