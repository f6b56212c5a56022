import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Logger } from 'pino';
import type { ErrorCode } from '../../../src/errors.ts';
import { createLog } from '../../../src/http/observe/log.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { tlsSettings } from '../../support/wire/tls.ts';
import { assertProblem } from '../../support/wire/wire.ts';

const MIB = 1024 ** 2;

async function startSecure(t: TestContext, log?: Logger): Promise<TestServer & { session: ClientHttp2Session }> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-tls-'));
  const server = await startServer(t, await tlsSettings(folder), log ? { log } : {});
  t.after(() => rm(folder, { recursive: true, force: true }));
  const session = connect(server.origin, { rejectUnauthorized: false });
  await once(session, 'connect');
  t.after(() => session.destroy());
  return { ...server, session };
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  await once(stream, 'end');
  return { status: headers[':status'], headers, body: Buffer.concat(pieces).toString() };
}

function assertRefused({ status, headers, body }: Answer, code: ErrorCode): void {
  assertProblem({ status, headers: { 'content-type': String(headers['content-type']) }, body }, code);
}

test('HTTP/2: a chunk is uploaded, and its status and bytes are read', async (t) => {
  const { session, client } = await startSecure(t);
  assert.equal(session.alpnProtocol, 'h2');
  const data = Buffer.alloc(3 * MIB, 'lading');
  const up = session.request({
    ':method': 'POST',
    ':path': '/api/files/upload?filename=a%20b',
    'content-type': 'application/octet-stream',
    ...client.headers,
  });
  up.end(encodeChunk(0, data));
  const stored = await answerOf(up);
  assert.equal(stored.status, 200, stored.body);
  assert.equal((JSON.parse(stored.body) as FileStatus).bytes_received, data.length);
  const down = session.request({ ':path': '/api/files/download/a%20b', range: 'bytes=6-11', ...client.headers });
  const range = await answerOf(down);
  assert.deepEqual([range.status, range.body], [206, 'lading']);
});

test('HTTP/2: many concurrent chunks are stored on one connection', async (t) => {
  const { session, client } = await startSecure(t);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/api/files/upload?filename=a&total_size=50000',
        'content-type': 'application/octet-stream',
        ...client.headers,
      });
      stream.end(encodeChunk(i * 1000, Buffer.alloc(1000, i)));
      return answerOf(stream);
    }),
  );
  for (const answer of answers) assert.equal(answer.status, 200, answer.body);
});

test('HTTP/2: a refusal is complete before the stream is reset, and the connection stays usable', async (t) => {
  const { session, client } = await startSecure(t);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/api/files/upload?filename=a',
    'content-type': 'application/octet-stream',
  });
  const body = Buffer.alloc(MIB);
  stream.write(body);
  assertRefused(await answerOf(stream), 'unauthorized');
  if (!stream.closed) await once(stream, 'close');
  assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  const next = session.request({ ':path': '/api/files', ...client.headers });
  assert.equal((await answerOf(next)).status, 200);
});

test('HTTP/2: a client that resets a chunk is logged and leaves no data', async (t) => {
  const lines: string[] = [];
  const { session, client, app } = await startSecure(t, createLog('info', { write: (line) => void lines.push(line) }));
  const path = '/api/files/upload?filename=a';
  const type = { 'content-type': 'application/octet-stream' };
  const stream = session.request({ ':method': 'POST', ':path': path, ...type, ...client.headers });
  stream.on('error', () => {});
  await new Promise<void>((sent) => stream.write(encodeChunk(0, Buffer.alloc(MIB)).subarray(0, MIB / 2), () => sent()));
  while (app.engine.gauges().open_uploads === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  stream.close(constants.NGHTTP2_CANCEL);
  const left = (): string | undefined => lines.find((line) => line.includes('"status":499'));
  while (!left()) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(left() ?? '', /"address":"127\.0\.0\.1"/);
  const status = await answerOf(session.request({ ':path': '/api/files/status/a', ...client.headers }));
  assert.match(status.body, /"status":"pending"/);
});

test('HTTP/2: unknown paths, other methods and events work as over HTTP/1.1', async (t) => {
  const { session, client } = await startSecure(t);
  assertRefused(await answerOf(session.request({ ':path': '/nothing' })), 'not_found');
  assertRefused(
    await answerOf(session.request({ ':path': '/api/files/status/%ff', ...client.headers })),
    'invalid_name',
  );
  assertRefused(
    await answerOf(session.request({ ':method': 'PUT', ':path': '/health' }, { endStream: true })),
    'method_not_allowed',
  );
  const events = session.request({ ':path': '/api/files/status/a', accept: 'text/event-stream', ...client.headers });
  const [first] = (await once(events, 'data')) as [Buffer];
  assert.match(first.toString(), /^event: status\ndata: \{"filename":"a","status":"pending"/);
  events.close();
});

test('HTTP/2: the stop does not wait for open sessions', async (t) => {
  const server = await startSecure(t);
  assert.equal((await answerOf(server.session.request({ ':path': '/health' }))).status, 200);
  await server.close();
  if (!server.session.closed) await once(server.session, 'close');
});

test('HTTP/1.1 over TLS supports Expect: 100-continue and early refusals', async (t) => {
  const { port, client } = await startSecure(t);
  const send = async (headers: Record<string, string>, body: Buffer): Promise<number> => {
    const sent = request({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      method: 'POST',
      path: '/api/files/upload?filename=a',
      headers,
    });
    sent.on('error', () => {});
    sent.once('continue', () => sent.end(body));
    if (headers.expect === undefined) sent.end(body);
    else sent.flushHeaders();
    const [reply] = await once(sent, 'response');
    reply.resume();
    return reply.statusCode;
  };
  const type = { 'content-type': 'application/octet-stream' };
  const chunk = Buffer.from(encodeChunk(0, Buffer.from('hello')));
  const length = { 'content-length': String(chunk.length) };
  assert.equal(await send({ ...type, ...length, ...client.headers, expect: '100-continue' }, chunk), 200);
  assert.equal(await send({ ...type, ...length, expect: '100-continue' }, chunk), 401);
  assert.equal(await send({ ...type, 'content-length': String(20 * MIB) }, Buffer.alloc(20 * MIB)), 401);
});
