/** GET /api/events: sends events to the principals that may see them, without losses over a broken connection. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseEvents } from '../../../src/client/transport/sse.ts';
import type { LadingEvent } from '../../../src/protocol/schemas/event.ts';
import { eventually } from '../../support/eventually.ts';
import { type Account, startServer, type TestServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

interface Heard {
  /** Names of the events, `lost` included. */
  names: string[];
  events: LadingEvent[];
  ended: boolean;
  leave(): void;
}

async function listen(
  t: TestContext,
  { origin }: TestServer,
  by: Account,
  query = '',
  lastId?: string,
): Promise<Heard> {
  const abort = new AbortController();
  t.after(() => abort.abort());
  const reply = await fetch(`${origin}/api/events${query}`, {
    headers: { ...by.headers, ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
    signal: abort.signal,
  });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('content-type'), 'text/event-stream');
  const heard: Heard = { names: [], events: [], ended: false, leave: () => abort.abort() };
  void (async () => {
    try {
      for await (const data of parseEvents(reply.body as unknown as AsyncIterable<Uint8Array>)) {
        const event = JSON.parse(data) as LadingEvent | { type: 'lost' };
        heard.names.push(event.type);
        if (event.type !== 'lost') heard.events.push(event);
      }
    } catch {
      // The test or the server closed the stream.
    }
    heard.ended = true;
  })();
  return heard;
}

function store(server: TestServer, name: string): Promise<unknown> {
  return put(server, name, 0, ALPHABET, { total_size: '26' });
}

test('a cancelled replacement is not reported as a deleted file', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  await store(server, 'letters.txt');
  const heard = await listen(t, server, client, '?types=file.deleted,upload.cancelled');
  const url = `${origin}/api/files/letters.txt`;
  const { id } = (await (await fetch(url.replace('files', 'files/status'), { headers: client.headers })).json()) as {
    id: string;
  };
  await put(server, 'letters.txt', 0, ALPHABET.subarray(0, 9), { total_size: '26', overwrite: 'true' });
  await fetch(`${url}?upload=only`, { method: 'DELETE', headers: client.headers });
  await fetch(url, { method: 'DELETE', headers: client.headers });
  await eventually(() => heard.names.includes('file.deleted'), 'the end');
  assert.deepEqual(heard.names, ['upload.cancelled', 'file.deleted']);
  assert.notEqual(heard.events[0]?.file_id, id);
  assert.equal(heard.events[1]?.file_id, id);
});

test('the events of a file are sent in order', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const heard = await listen(t, server, client);
  await put(server, 'letters.txt', 0, ALPHABET.subarray(0, 10), { total_size: '26' });
  await eventually(() => heard.names.includes('chunk.received'), 'word of the chunk');
  await put(server, 'letters.txt', 10, ALPHABET.subarray(10));
  await fetch(`${origin}/api/files/letters.txt`, { method: 'DELETE', headers: client.headers });
  await eventually(() => heard.names.includes('file.deleted'), 'the end');
  assert.deepEqual(heard.names, ['file.created', 'chunk.received', 'chunk.received', 'file.completed', 'file.deleted']);
  const [created, first, second, completed] = heard.events;
  assert.deepEqual([created?.filename, created?.owner, created?.total_bytes], ['letters.txt', client.id, 26]);
  assert.deepEqual([first?.bytes_received, first?.chunks, first?.chunk_bytes], [10, 1, 10]);
  assert.deepEqual([second?.bytes_received, second?.chunk_bytes], [26, 16]);
  assert.deepEqual([completed?.bytes_received, completed?.crc32], [26, '4c2750bd']);
  assert.equal(new Set(heard.events.map(({ file_id }) => file_id)).size, 1);
});

test('types and prefix filter the events', async (t) => {
  const server = await startServer(t);
  const heard = await listen(t, server, server.client, '?types=file.completed,file.deleted&prefix=a/');
  for (const name of ['b/one.txt', 'a/two.txt']) await store(server, name);
  await eventually(() => heard.names.length === 1, 'the one event');
  assert.equal(heard.events[0]?.filename, 'a/two.txt');
  const wrong = await fetch(`${server.origin}/api/events?types=file.eaten`, { headers: server.client.headers });
  await assertProblemReply(wrong, 'invalid_request');
});

test('clients receive events of their own files, ops of all files in the tenant, administrators also refusals', async (t) => {
  const server = await startServer(t);
  const [other, ops] = [await server.enrol(), await server.enrol('ops')];
  const ears = await Promise.all([other, ops, server.admin].map((by) => listen(t, server, by)));
  await fetch(`${server.origin}/api/files`, { headers: { authorization: 'Bearer nonsense' } });
  await store(server, 'letters.txt');
  const [others, opsHeard, adminHeard] = ears as [Heard, Heard, Heard];
  await eventually(() => adminHeard.names.includes('file.completed'), 'word for the administrator');
  await eventually(() => opsHeard.names.includes('file.completed'), 'word for ops');
  assert.deepEqual(opsHeard.names, ['file.created', 'chunk.received', 'file.completed']);
  assert.deepEqual(adminHeard.names, ['auth.refused', 'file.created', 'chunk.received', 'file.completed']);
  // A later event shows that no other event was pending.
  await put({ ...server, client: other }, 'own.txt', 0, ALPHABET, { total_size: '26' });
  await eventually(() => others.names.includes('file.completed'), 'word of its own file');
  assert.deepEqual(new Set(others.events.map(({ filename }) => filename)), new Set(['own.txt']));
});

test('a client that reconnects continues after its last event, and is told about lost events', async (t) => {
  const server = await startServer(t);
  const first = await listen(t, server, server.client, '?types=file.completed');
  await store(server, 'one.txt');
  await eventually(() => first.names.length === 1, 'the first');
  first.leave();
  await store(server, 'two.txt');
  await store(server, 'three.txt');
  const second = await listen(t, server, server.client, '?types=file.completed', first.events[0]?.id);
  await eventually(() => second.names.length === 2, 'what was missed');
  assert.deepEqual(
    second.events.map(({ filename }) => filename),
    ['two.txt', 'three.txt'],
  );
  for (const id of ['of-another-run', 'nonsense', `${first.events[0]?.id.split('-')[0]}-999999999`]) {
    const lost = await listen(t, server, server.client, '?types=file.completed', id);
    await eventually(() => lost.names.length === 4, `all that there is after ${id}`);
    assert.deepEqual(lost.names, ['lost', 'file.completed', 'file.completed', 'file.completed']);
  }
});

test('a client that does not read delays nobody, and is told about lost events', async (t) => {
  const server = await startServer(t);
  const heard = await listen(t, server, server.client, '?types=file.completed');
  const abort = new AbortController();
  t.after(() => abort.abort());
  const idle = await fetch(`${server.origin}/api/events`, { headers: server.client.headers, signal: abort.signal });
  for (let n = 0; n < 50; n += 1) await store(server, `${n}.txt`);
  await eventually(() => heard.names.length === 50, 'all of them');
  let text = '';
  for await (const piece of idle.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(piece).toString();
    if (text.includes('"49.txt"') && text.includes('file.completed')) break;
  }
  assert.ok(text.startsWith('retry: '));
});

test('a stream ends when its token is revoked or the server stops', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const made = await fetch(`${origin}/api/tokens`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ scopes: ['read'] }),
  });
  const { token, token_id } = (await made.json()) as { token: string; token_id: string };
  const by = { ...client, headers: { authorization: `Bearer ${token}` } };
  const revoked = await listen(t, server, by);
  const stays = await listen(t, server, admin);
  await fetch(`${origin}/api/tokens/${token_id}`, { method: 'DELETE', headers: client.headers });
  await store(server, 'letters.txt');
  await eventually(() => revoked.ended, 'the end of the revoked one');
  assert.deepEqual(revoked.names, []);
  await eventually(() => stays.names.includes('file.completed'), 'word to the other');
  await server.close();
  await eventually(() => stays.ended, 'the end of the other');
});

test('a principal has at most 64 open streams', async (t) => {
  const server = await startServer(t);
  for (let n = 0; n < 64; n += 1) await listen(t, server, server.client);
  const { origin, client, admin } = server;
  await assertProblemReply(await fetch(`${origin}/api/events`, { headers: client.headers }), 'overloaded');
  await listen(t, server, admin);
});

test('events of tokens, shares and similar changes reach administrators and the principal that made them', async (t) => {
  const server = await startServer(t);
  const [other, ops] = [await server.enrol(), await server.enrol('ops')];
  const ears = await Promise.all([server.client, other, ops, server.admin].map((by) => listen(t, server, by)));
  const [own, others, opsHeard, adminHeard] = ears as [Heard, Heard, Heard, Heard];
  const made = await fetch(`${server.origin}/api/tokens`, { method: 'POST', headers: server.client.headers });
  assert.equal(made.status, 201);
  for (const heard of [own, adminHeard]) {
    await eventually(() => heard.names.includes('admin.changed'), 'word of it');
    const event = heard.events.find(({ type }) => type === 'admin.changed');
    assert.equal(event?.owner, server.client.id);
    assert.match(event?.detail ?? '', /^token_created/);
  }
  await put({ ...server, client: other }, 'own.txt', 0, ALPHABET, { total_size: '26' });
  for (const heard of [others, opsHeard]) {
    await eventually(() => heard.names.includes('file.completed'), 'word of what came after');
    assert.ok(!heard.names.includes('admin.changed'));
  }
});
