import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { wantsEvents } from '../../../src/http/live/status-stream.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, createToken } from '../../support/product/api-tokens.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

async function upload(
  { origin, client }: TestServer,
  name: string,
  start: number,
  text: string,
  query = '',
): Promise<FileStatus> {
  const reply = await fetch(`${origin}/api/files/upload?filename=${name}${query}`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/octet-stream' },
    body: encodeChunk(start, Buffer.from(text)),
  });
  assert.equal(reply.status, 200);
  return (await reply.json()) as FileStatus;
}

/** Reads status objects as they arrive; `done` is true when the server has ended the stream. */
class Events {
  readonly #iterator: AsyncIterator<Buffer>;
  #text = '';
  #leave: () => void;

  constructor(message: AsyncIterable<Buffer>, leave: () => void) {
    this.#iterator = message[Symbol.asyncIterator]();
    this.#leave = leave;
  }

  static async open(t: TestContext, { origin, client }: TestServer, name: string): Promise<Events> {
    const sent = request(`${origin}/api/files/status/${name}`, {
      headers: { ...client.headers, accept: 'text/event-stream' },
    });
    sent.end();
    const [message] = await once(sent, 'response');
    assert.equal(message.statusCode, 200);
    assert.match(message.headers['content-type'], /^text\/event-stream/);
    assert.equal(message.headers['cache-control'], 'no-store');
    t.after(() => sent.destroy());
    sent.on('error', () => {});
    return new Events(message, () => sent.destroy());
  }

  async next(): Promise<FileStatus | 'done'> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end !== -1) {
        const event = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const data = /^event: status\ndata: (.*)$/.exec(event)?.[1];
        if (data !== undefined) return JSON.parse(data) as FileStatus;
        assert.match(event, /^:/, 'neither a status nor a comment');
        continue;
      }
      const piece = await this.#iterator.next();
      if (piece.done === true) return 'done';
      this.#text += piece.value.toString();
    }
  }

  /** The first status that satisfies a condition. */
  async until(wanted: (status: FileStatus) => boolean): Promise<FileStatus> {
    for (;;) {
      const status = await this.next();
      assert.notEqual(status, 'done', 'the stream ended too early');
      if (status !== 'done' && wanted(status)) return status;
    }
  }

  leave(): void {
    this.#leave();
  }
}

test('an unknown name is pending, and the request creates nothing', async (t) => {
  const { origin, client } = await startServer(t);
  const reply = await fetch(`${origin}/api/files/status/no%2Fsuch.bin`, { headers: client.headers });
  assert.equal(reply.status, 200);
  const status = (await reply.json()) as FileStatus;
  assert.deepEqual(Object.keys(status).slice(0, 5), [
    'filename',
    'status',
    'bytes_received',
    'total_bytes',
    'next_expected_byte',
  ]);
  assert.equal(status.filename, 'no/such.bin');
  assert.equal(status.status, 'pending');
  assert.equal(status.total_bytes, null);
  const list = (await (await fetch(`${origin}/api/files`, { headers: client.headers })).json()) as { files: unknown[] };
  assert.deepEqual(list.files, []);
});

test('an administrator reads the status of another owner, and a client may not, whether or not the file exists', async (t) => {
  const server = await startServer(t);
  await upload(server, 'a', 0, 'hello', '&total_size=10');
  const url = `${server.origin}/api/files/status/a?owner=${server.client.id}`;
  const reply = await fetch(url, { headers: server.admin.headers });
  assert.equal(((await reply.json()) as FileStatus).bytes_received, 5);
  const own = await fetch(`${server.origin}/api/files/status/a`, { headers: server.admin.headers });
  assert.equal(((await own.json()) as FileStatus).status, 'pending');
  const other = await server.enrol();
  for (const name of ['a', 'b']) {
    const asked = await fetch(`${server.origin}/api/files/status/${name}?owner=${server.client.id}`, {
      headers: other.headers,
    });
    await assertProblemReply(asked, 'forbidden');
  }
});

test('events report an upload from pending to complete, and then the stream ends', async (t) => {
  const server = await startServer(t);
  const events = await Events.open(t, server, 'a');
  assert.equal((await events.until(() => true)).status, 'pending');
  await upload(server, 'a', 5, '56789', '&total_size=10');
  const partial = await events.until((status) => status.status !== 'pending');
  assert.deepEqual([partial.status, partial.bytes_received, partial.missing], ['partial', 5, [[0, 4]]]);
  await upload(server, 'a', 0, '01234');
  const complete = await events.until((status) => status.status === 'complete');
  assert.equal(complete.bytes_received, 10);
  assert.equal(await events.next(), 'done');
});

test('a complete file has a single event', async (t) => {
  const server = await startServer(t);
  await upload(server, 'a', 0, 'x', '&total_size=1');
  const events = await Events.open(t, server, 'a');
  assert.equal((await events.until(() => true)).status, 'complete');
  assert.equal(await events.next(), 'done');
});

test('a client that reconnects after the complete status gets 204, so that an EventSource stops', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  await upload(server, 'f', 0, 'hello', '&total_size=5');
  const ask = async (lastId?: string): Promise<{ status: number; id: string | undefined }> => {
    const reply = await fetch(`${origin}/api/files/status/f`, {
      headers: { ...client.headers, accept: 'text/event-stream', ...(lastId && { 'last-event-id': lastId }) },
    });
    return { status: reply.status, id: /^id: (.+)$/m.exec(await reply.text())?.[1] };
  };
  const first = await ask();
  assert.equal(first.status, 200);
  assert.ok(first.id);
  assert.deepEqual(await ask(first.id), { status: 204, id: undefined });
  assert.equal((await ask()).status, 200, 'a client without an event id gets the event');
  await upload(server, 'f', 0, 'bye', '&total_size=3&overwrite=true');
  const second = await ask(first.id);
  assert.equal(second.status, 200, 'an id of another version does not count');
  assert.notEqual(second.id, first.id);
  assert.equal((await ask(second.id)).status, 204);
  const plain = await fetch(`${origin}/api/files/status/f`, {
    headers: { ...client.headers, 'last-event-id': second.id ?? '' },
  });
  assert.equal(plain.status, 200, 'a status object is no stream');
});

test('many changes cause few events, and the last one shows all of them', async (t) => {
  const server = await startServer(t);
  const events = await Events.open(t, server, 'a');
  let seen = 0;
  const last = events.until((status) => {
    seen += 1;
    return status.bytes_received === 40;
  });
  const began = performance.now();
  for (let i = 0; i < 40; i += 1) await upload(server, 'a', i, 'x', '&total_size=100');
  await last;
  const spaces = Math.ceil((performance.now() - began) / 250) + 1;
  assert.ok(seen <= spaces + 1, `${seen} events in ${spaces} quarters of a second`);
});

test('a stream is closed when its client leaves', async (t) => {
  const server = await startServer(t);
  let watching = 0;
  const { watch } = server.app.engine;
  server.app.engine.watch = (owner, name, listener) => {
    watching += 1;
    const unwatch = watch.call(server.app.engine, owner, name, listener);
    return () => {
      watching -= 1;
      unwatch();
    };
  };
  const events = await Events.open(t, server, 'a');
  await events.next();
  assert.equal(watching, 1);
  events.leave();
  while (watching > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(watching, 0);
});

test('a principal cannot use up the limit of open streams', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin } = server;
  const accept = 'text/event-stream';
  const events = (headers: Record<string, string>, signal?: AbortSignal) =>
    fetch(`${origin}/api/files/status/none`, { headers: { ...headers, accept }, ...(signal ? { signal } : {}) });
  const { token } = await createToken(server, client);
  const leaving = new AbortController();
  t.after(() => leaving.abort());
  for (let n = 0; n < 64; n += 1) {
    assert.equal((await events(n % 2 === 0 ? client.headers : bearer(token), leaving.signal)).status, 200);
  }
  for (const headers of [client.headers, bearer(token)]) {
    const refused = await events(headers);
    assert.equal(refused.headers.get('retry-after'), '10');
    await assertProblemReply(refused, 'overloaded');
  }
  const other = new AbortController();
  assert.equal((await events(admin.headers, other.signal)).status, 200);
  other.abort();
  leaving.abort();
  const again = new AbortController();
  await eventually(async () => {
    const reply = await events(client.headers, again.signal);
    if (reply.status !== 200) await reply.arrayBuffer();
    return reply.status === 200;
  }, 'a stream in the place of one that was left');
  again.abort();
});

test('HEAD opens no stream', async (t) => {
  const { origin, client, app } = await startServer(t);
  app.engine.watch = () => assert.fail('a stream was opened');
  const headers = { ...client.headers, accept: 'text/event-stream' };
  const reply = await fetch(`${origin}/api/files/status/a`, { method: 'HEAD', headers });
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get('content-type') ?? '', /^application\/json/);
});

test('a server that stops ends its streams', async (t) => {
  const server = await startServer(t);
  const events = await Events.open(t, server, 'a');
  await events.next();
  const closed = server.close();
  assert.equal(await events.next(), 'done');
  await closed;
});

test('only an Accept field with text/event-stream requests events', () => {
  for (const accept of ['text/event-stream', 'Text/Event-Stream;q=0.5', 'application/json, text/event-stream ; q=1']) {
    assert.equal(wantsEvents(accept), true, accept);
  }
  for (const accept of [
    undefined,
    '',
    '*/*',
    'application/json',
    'text/event-stream;q=0',
    'text/event-streams',
    'text/*',
  ]) {
    assert.equal(wantsEvents(accept), false, accept);
  }
});
