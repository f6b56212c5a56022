/**
 * SIGTERM to a server process with active clients, over every kind of connection: the process ends in time and in order, and no client
 * mistakes a truncated download for a complete one.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type ClientHttp2Stream, connect, constants } from 'node:http2';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable, Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { content } from '../../support/product/device.ts';
import { type Finished, type Running, startCli, temporaryFolder, until } from '../../support/servers/processes.ts';
import { tlsSettings } from '../../support/wire/tls.ts';

const MIB = 1024 ** 2;
const ADMIN = { username: 'admin', password: 'secret-of-the-administrator' };
/** More than socket buffers hold, so that the server keeps sending to a client that does not read. */
const LARGE = 64 * MIB;

interface Ask {
  method?: string;
  path: string;
  headers?: Record<string, string>;
}

/** One running request. */
interface Exchange {
  /** The stream of its body. */
  body: Writable;
  /** Its answer, unread. */
  answer: Promise<{ status: number; content: Readable }>;
}

/** A kind of connection. */
interface Transport {
  name: string;
  tls: boolean;
  ask(t: TestContext, origin: string, request: Ask): Promise<Exchange>;
}

function overHttp1(ask: ClientRequest): Exchange {
  const answer = once(ask, 'response').then(([reply]: IncomingMessage[]) => {
    if (!reply) throw new Error('no response');
    return { status: reply.statusCode ?? 0, content: reply };
  });
  answer.catch(() => {});
  ask.flushHeaders();
  return { body: ask, answer };
}

function overHttp2(stream: ClientHttp2Stream): Exchange {
  const answer = once(stream, 'response').then(([headers]) => ({
    status: Number(headers[':status']),
    content: stream,
  }));
  answer.catch(() => {});
  return { body: stream, answer };
}

const TRANSPORTS: readonly Transport[] = [
  {
    name: 'HTTP/1.1',
    tls: false,
    ask: async (t, origin, request) => {
      const agent = new HttpAgent({ keepAlive: true });
      t.after(() => agent.destroy());
      return overHttp1(httpRequest(origin + request.path, { ...request, agent }));
    },
  },
  {
    name: 'HTTP/1.1 with TLS',
    tls: true,
    ask: async (t, origin, request) => {
      const agent = new HttpsAgent({ keepAlive: true, rejectUnauthorized: false });
      t.after(() => agent.destroy());
      return overHttp1(httpsRequest(origin + request.path, { ...request, agent }));
    },
  },
  {
    name: 'HTTP/2',
    tls: true,
    ask: async (t, origin, { method = 'GET', path, headers }) => {
      const session = connect(origin, { rejectUnauthorized: false });
      // The streams report the error.
      session.on('error', () => {});
      t.after(() => session.destroy());
      await once(session, 'connect');
      const fields = { [constants.HTTP2_HEADER_METHOD]: method, [constants.HTTP2_HEADER_PATH]: path, ...headers };
      return overHttp2(session.request(fields, { endStream: method === 'GET' }));
    },
  },
];

interface Served {
  origin: string;
  headers: { authorization: string };
  /** Sends SIGTERM and resolves when the server logs that it stops. */
  stop(): Promise<void>;
  finished: Promise<Finished>;
}

async function serve(t: TestContext, dataDir: string, tls: boolean, shutdownSeconds: number): Promise<Served> {
  const settings = { LADING_SHUTDOWN_SECONDS: String(shutdownSeconds), ...(tls ? await tlsSettings(dataDir) : {}) };
  const running: Running = startCli(t, ['serve'], {
    env: {
      LADING_HOST: '127.0.0.1',
      LADING_PORT: '0',
      LADING_DATA_DIR: dataDir,
      LADING_ADMIN_ID: ADMIN.username,
      LADING_ADMIN_SECRET: ADMIN.password,
      LADING_WORKERS: '1',
      ...settings,
    },
  });
  const [, origin = ''] = await until(running, /listens on (https?:\/\/\S+)/);
  const stop = async (): Promise<void> => {
    running.process.kill('SIGTERM');
    await until(running, /"msg":"stopping"/);
  };
  return { origin, headers: await signIn(t, origin, tls), stop, finished: running.finished };
}

async function signIn(t: TestContext, origin: string, tls: boolean): Promise<Served['headers']> {
  const [plain, secure] = TRANSPORTS;
  const transport = tls ? secure : plain;
  if (!transport) throw new Error('unreachable');
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const { body, answer } = await transport.ask(t, origin, { method: 'POST', path: '/auth/token', headers });
  body.end(new URLSearchParams(ADMIN).toString());
  const reply = JSON.parse((await whole((await answer).content)).toString()) as { access_token: string };
  return { authorization: `Bearer ${reply.access_token}` };
}

async function whole(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

function isStream(stream: Readable): stream is ClientHttp2Stream {
  return 'rstCode' in stream;
}

interface Taken {
  bytes: number;
  /** True if the message ended completely. */
  complete: boolean;
}

/** How a client that begins to read later sees the response. */
function slowReader(stream: Readable): { readOn(): Promise<Taken> } {
  const taken: Taken = { bytes: 0, complete: false };
  let broken = false;
  stream.on('end', () => {
    // Node also ends a broken HTTP/2 stream, in addition to the error.
    taken.complete = !isStream(stream) || (stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted);
  });
  stream.on('error', () => {
    broken = true;
  });
  return {
    readOn: async () => {
      stream.on('data', (piece: Buffer) => {
        taken.bytes += piece.length;
      });
      if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
      return { ...taken, complete: taken.complete && !broken };
    },
  };
}

/** A request of which the chunk header and a part of the data are sent. */
async function beginChunk(
  t: TestContext,
  transport: Transport,
  { origin, headers }: Served,
  query: string,
  chunk: Uint8Array,
  part: number,
): Promise<Exchange> {
  const fields = { ...headers, 'content-type': 'application/octet-stream', 'content-length': String(chunk.length) };
  const path = `/api/files/upload?${query}`;
  const exchange = await transport.ask(t, origin, { method: 'POST', path, headers: fields });
  await new Promise<void>((sent) => exchange.body.write(chunk.subarray(0, part), () => sent()));
  return exchange;
}

async function send(t: TestContext, transport: Transport, served: Served, query: string, chunk: Uint8Array) {
  const { body, answer } = await beginChunk(t, transport, served, query, chunk, 17);
  body.end(chunk.subarray(17));
  const reply = await answer;
  const text = (await whole(reply.content)).toString();
  assert.equal(reply.status, 200, text);
  return JSON.parse(text) as FileStatus;
}

async function statusOf(t: TestContext, transport: Transport, { origin, headers }: Served): Promise<FileStatus> {
  const { answer } = await transport.ask(t, origin, { path: '/api/files/status/f', headers });
  return JSON.parse((await whole((await answer).content)).toString()) as FileStatus;
}

async function assertEndedInOrder({ finished }: Served): Promise<void> {
  const { code, signal, stderr } = await finished;
  assert.deepEqual([code, signal], [0, null], stderr);
}

for (const transport of TRANSPORTS) {
  const secure = transport.tls;

  test(`${transport.name}: a stop cuts slow downloads off after the grace period, visibly truncated`, {
    timeout: 60_000,
  }, async (t) => {
    const served = await serve(t, await temporaryFolder(t), secure, 1);
    await send(t, transport, served, `filename=f&total_size=${LARGE}`, encodeChunk(0, Buffer.alloc(LARGE, 'lading')));
    await send(t, transport, served, `filename=open&total_size=${LARGE}`, encodeChunk(0, content(0, 10)));
    const begin = async (path: string, headers: Record<string, string> = {}) => {
      const all = { ...served.headers, ...headers };
      const { answer } = await transport.ask(t, served.origin, { path: `/api/files/download/${path}`, headers: all });
      const { status, content: stream } = await answer;
      return { status, reader: slowReader(stream) };
    };
    // A download with a length, one without (a followed unfinished file), and one with several parts.
    const downloads = await Promise.all([
      begin('f'),
      begin('open?follow=true'),
      begin('f', { range: `bytes=0-${LARGE / 2},${LARGE / 2 + 1}-${LARGE - 1}` }),
    ]);
    assert.deepEqual(
      downloads.map(({ status }) => status),
      [200, 200, 206],
    );
    await served.stop();
    await assertEndedInOrder(served);
    for (const { reader } of downloads) {
      const { bytes, complete } = await reader.readOn();
      assert.ok(!complete && bytes < LARGE, `${bytes} bytes, complete: ${complete}`);
    }
  });

  test(`${transport.name}: a chunk that is arriving when the stop begins is acknowledged and stored`, {
    timeout: 60_000,
  }, async (t) => {
    const folder = await temporaryFolder(t);
    const size = 3 * MIB;
    const query = `filename=f&total_size=${size + 10}`;
    const bytes = content(0, size);
    const chunk = encodeChunk(0, bytes);
    const served = await serve(t, folder, secure, 3600);
    // When this request is answered, the earlier requests are running.
    const running = await beginChunk(t, transport, served, query, chunk, MIB);
    await send(t, transport, served, query, encodeChunk(size, content(size, 10)));
    await served.stop();
    running.body.end(chunk.subarray(MIB));
    const reply = await running.answer;
    const text = (await whole(reply.content)).toString();
    assert.equal(reply.status, 200, text);
    assert.equal((JSON.parse(text) as FileStatus).status, 'complete');
    await assertEndedInOrder(served);

    const again = await serve(t, folder, secure, 1);
    assert.equal((await statusOf(t, transport, again)).status, 'complete');
    const { answer } = await transport.ask(t, again.origin, { path: '/api/files/download/f', headers: again.headers });
    assert.ok((await whole((await answer).content)).equals(Buffer.from(content(0, size + 10))));
    await again.stop();
    await assertEndedInOrder(again);
  });
}

test('a chunk that is incomplete after the grace period is refused or cut off, and none of its bytes are stored', {
  timeout: 60_000,
}, async (t) => {
  const [transport] = TRANSPORTS;
  assert.ok(transport);
  const folder = await temporaryFolder(t);
  const served = await serve(t, folder, false, 1);
  const query = 'filename=f&total_size=100000';
  await send(t, transport, served, query, encodeChunk(0, content(0, 10)));
  const running = await beginChunk(t, transport, served, query, encodeChunk(10, content(10, 90_000)), 80_000);
  await served.stop();
  const status = await running.answer.then(
    (reply) => reply.status,
    () => null,
  );
  assert.ok(status === 503 || status === null, `${status}`);
  await assertEndedInOrder(served);
  const again = await serve(t, folder, false, 1);
  assert.deepEqual((await statusOf(t, transport, again)).missing, [[10, 99_999]]);
  await again.stop();
  await assertEndedInOrder(again);
});
