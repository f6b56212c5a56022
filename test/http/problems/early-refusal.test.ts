import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { test } from 'node:test';
import { createLog } from '../../../src/http/observe/log.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblem, exchange, Wire } from '../../support/wire/wire.ts';

const HOST = 'Host: localhost';
const MIB = 1024 ** 2;
const UPLOAD = 'POST /api/files/upload?filename=a HTTP/1.1';
const OCTETS = 'Content-Type: application/octet-stream';

test('H1 a client that sends 100 MB receives the error, and the connection is closed', async (t) => {
  const { port } = await startServer(t);
  const wire = await Wire.open(port);
  wire.head(UPLOAD, HOST, OCTETS, `Content-Length: ${100 * MIB}`);
  const piece = Buffer.alloc(MIB);
  // A client that reads only after it has sent everything, like simple libraries.
  for (let sent = 0; sent < 100; sent += 1) {
    if (!wire.socket.write(piece)) await once(wire.socket, 'drain');
  }
  const response = await wire.response();
  assertProblem(response, 'unauthorized');
  assert.equal(response.headers.connection, 'close');
  await wire.closed();
});

test('H1 a client that reads while it sends gets the answer after a fraction of the body', async (t) => {
  const { port } = await startServer(t);
  const wire = await Wire.open(port);
  wire.head(UPLOAD, HOST, OCTETS, 'Transfer-Encoding: chunked').send(`100000\r\n`).send(Buffer.alloc(1000));
  assertProblem(await wire.response(), 'unauthorized');
  wire.destroy();
});

test('H1 a sender that never stops is cut off', async (t) => {
  const { port } = await startServer(t);
  const wire = await Wire.open(port);
  wire.head(UPLOAD, HOST, OCTETS, `Content-Length: ${1024 ** 4}`);
  assertProblem(await wire.response(), 'unauthorized');
  const piece = Buffer.alloc(MIB);
  let sent = 0;
  while (!wire.socket.destroyed && sent < 1024) {
    sent += 1;
    await new Promise<void>((written) => wire.socket.write(piece, () => written()));
  }
  await wire.closed();
  assert.ok(sent < 512, `${sent} MiB were taken`);
});

test('the connection stays open after the refusal of a small body', async (t) => {
  const { port, client } = await startServer(t);
  const wire = await Wire.open(port);
  wire.head(UPLOAD, HOST, OCTETS, 'Content-Length: 100000').send(Buffer.alloc(50_000));
  const refused = await wire.response();
  assertProblem(refused, 'unauthorized');
  assert.notEqual(refused.headers.connection, 'close');
  wire.send(Buffer.alloc(50_000));
  wire.head('GET /api/files/status/a HTTP/1.1', HOST, `Authorization: ${client.headers.authorization}`);
  const next = await wire.response();
  assert.equal(next.status, 200, next.body);
  wire.destroy();
});

test('H1 a refusal during a chunk leaves the connection usable or closes it', async (t) => {
  const { port, client } = await startServer(t);
  const auth = `Authorization: ${client.headers.authorization}`;
  const wire = await Wire.open(port);
  // The header says ten bytes, the body has a hundred thousand.
  const body = Buffer.concat([encodeChunk(0, Buffer.alloc(10)), Buffer.alloc(100_000)]);
  wire.head(UPLOAD, HOST, OCTETS, auth, `Content-Length: ${body.length}`).send(body);
  assertProblem(await wire.response(), 'length_mismatch');
  const chunk = encodeChunk(0, Buffer.from('hello'));
  wire.head(UPLOAD, HOST, OCTETS, auth, `Content-Length: ${chunk.length}`).send(chunk);
  const next = await wire.response();
  assert.equal(next.status, 200, next.body);
  wire.destroy();
});

test('with Expect: 100-continue a refusal is sent before the body', async (t) => {
  const { port, client } = await startServer(t, { LADING_MAX_CHUNK_BYTES: '1MiB' });
  const auth = `Authorization: ${client.headers.authorization}`;
  const expect = 'Expect: 100-continue';
  const length = `Content-Length: ${100 * MIB}`;
  assertProblem(await exchange(port, UPLOAD, HOST, OCTETS, expect, length), 'unauthorized');
  assertProblem(await exchange(port, UPLOAD, HOST, OCTETS, expect, length, auth), 'chunk_too_large');
  const json = 'Content-Type: application/json';
  assertProblem(
    await exchange(port, 'POST /api/clients HTTP/1.1', HOST, json, expect, 'Content-Length: 20'),
    'unauthorized',
  );
});

test('with Expect: 100-continue an accepted request gets 100 before its body', async (t) => {
  const { origin, port, client, admin } = await startServer(t);
  const chunk = encodeChunk(0, Buffer.from('hello'));
  const wire = await Wire.open(port);
  const auth = `Authorization: ${client.headers.authorization}`;
  wire.head(UPLOAD, HOST, OCTETS, auth, 'Expect: 100-continue', `Content-Length: ${chunk.length}`);
  assert.equal((await wire.response()).status, 100);
  assert.equal((await wire.send(chunk).response()).status, 200);
  wire.destroy();

  const body = '{"role":"client"}';
  const sent = request(`${origin}/api/clients`, {
    method: 'POST',
    headers: {
      ...admin.headers,
      'content-type': 'application/json',
      'content-length': body.length,
      expect: '100-continue',
    },
  });
  sent.flushHeaders();
  await once(sent, 'continue');
  sent.end(body);
  const [reply] = await once(sent, 'response');
  assert.equal(reply.statusCode, 201);
  reply.resume();
});

test('an unknown expectation is ignored', async (t) => {
  const { port } = await startServer(t);
  assert.equal((await exchange(port, 'GET /health HTTP/1.1', HOST, 'Expect: the-unexpected')).status, 200);
});

test('a client that closes the connection after a small body still receives the refusal', async (t) => {
  const { port } = await startServer(t);
  const wire = await Wire.open(port);
  wire.head(UPLOAD, HOST, OCTETS, 'Connection: close', 'Content-Length: 900000').send(Buffer.alloc(1000));
  assertProblem(await wire.response(), 'unauthorized');
  // The server still reads from the connection and closes it afterwards.
  wire.send(Buffer.alloc(400_000));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(wire.socket.destroyed, false);
  wire.send(Buffer.alloc(499_000));
  await wire.closed();
});

test('a refusal is logged once, whether its client stays or leaves', async (t) => {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const { port } = await startServer(t, {}, { log });
  for (const [i, length] of [1000, 100 * MIB].entries()) {
    const wire = await Wire.open(port);
    wire.head(UPLOAD, HOST, OCTETS, `X-Request-Id: request-${i}`, `Content-Length: ${length}`).send(Buffer.alloc(1000));
    assertProblem(await wire.response(), 'unauthorized');
    wire.destroy();
    await wire.closed();
    const about = (): string[] => lines.filter((line) => line.includes(`request-${i}`));
    while (about().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(about().length, 1, about().join(''));
    const { status, address } = JSON.parse(about()[0] ?? '{}') as Record<string, unknown>;
    assert.deepEqual([status, address], [401, '127.0.0.1']);
  }
});

test('an unrequested body ends with the answer, whatever its declared length', async (t) => {
  const { port, client } = await startServer(t);
  const wire = await Wire.open(port);
  wire.head('GET /health HTTP/1.1', HOST, `Content-Length: ${1024 ** 4}`).send(Buffer.alloc(1000));
  assert.equal((await wire.response()).status, 200);
  let sent = 0;
  while (!wire.socket.destroyed && sent < 256) {
    sent += 1;
    await new Promise<void>((written) => wire.socket.write(Buffer.alloc(MIB), () => written()));
  }
  assert.ok(sent < 256, 'it went on taking bytes');

  const other = await Wire.open(port);
  const auth = `Authorization: ${client.headers.authorization}`;
  other
    .head('DELETE /api/files/a HTTP/1.1', HOST, auth, 'Content-Type: application/json', 'Content-Length: 2')
    .send('{}');
  assertProblem(await other.response(), 'not_found');
  assert.equal((await other.head('GET /health HTTP/1.1', HOST).response()).status, 200);
  other.destroy();
});

test('a form that does not arrive gets 408', async (t) => {
  const { port } = await startServer(t, { LADING_IDLE_SECONDS: '1' });
  const form = 'Content-Type: application/x-www-form-urlencoded';
  const wire = await Wire.open(port);
  wire.head('POST /auth/token HTTP/1.1', HOST, form, 'Content-Length: 100').send('username=a');
  assertProblem(await wire.response(), 'request_timeout');
  wire.destroy();
});
