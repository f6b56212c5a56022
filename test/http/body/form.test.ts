import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { clockOf } from '../../support/product/clock.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { assertProblem, assertProblemReply, Wire, type WireResponse } from '../../support/wire/wire.ts';

const BOUNDARY = 'xxBOUNDARYxx';
const CHUNK = encodeChunk(0, Buffer.from('abcdefghijklmnopqrstuvwxyz'));

interface Part {
  name: string;
  body: Uint8Array;
  filename?: string;
}

function form(...parts: Part[]): Buffer {
  const pieces = parts.flatMap(({ name, body, filename }) => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"`),
    Buffer.from(filename === undefined ? '' : `; filename="${filename}"`),
    Buffer.from('\r\n\r\n'),
    body,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

function digest(bytes: Uint8Array): string {
  return `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
}

async function post({ port, client }: TestServer, body: Uint8Array, ...more: string[]): Promise<WireResponse> {
  const wire = await Wire.open(port);
  wire.head(
    'POST /api/files/upload?filename=a.txt HTTP/1.1',
    'Host: localhost',
    `Authorization: ${client.headers.authorization}`,
    `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
    `Content-Length: ${body.length}`,
    ...more,
  );
  wire.send(body);
  try {
    return await wire.response();
  } finally {
    wire.destroy();
  }
}

async function stored({ origin, client }: TestServer): Promise<FileStatus> {
  const reply = await fetch(`${origin}/api/files/status/a.txt`, { headers: client.headers });
  return (await reply.json()) as FileStatus;
}

test('the part "file" is stored, with or without a file name, between other parts', async (t) => {
  const server = await startServer(t);
  const file = { name: 'file', body: CHUNK };
  const other = { name: 'other', body: Buffer.alloc(10_000), filename: 'o.bin' };
  const note = { name: 'note', body: Buffer.from('x') };
  for (const body of [
    form(file),
    form({ ...file, filename: '' }),
    form(note, other, { ...file, filename: 'a' }, other, note),
  ]) {
    const response = await post(server, body);
    assert.equal(response.status, 200, response.body);
  }
  assert.equal((await stored(server)).bytes_received, 26);
});

test('a large chunk is stored unchanged', async (t) => {
  const server = await startServer(t);
  const data = Buffer.alloc(5_000_000);
  for (let i = 0; i < data.length; i += 1) data[i] = (i * 7) & 0xff;
  // Data that resembles a boundary is data.
  data.write(`\r\n--${BOUNDARY.slice(0, -1)}`, 1_000_000);
  const response = await post(server, form({ name: 'file', body: encodeChunk(0, data) }));
  assert.equal(response.status, 200, response.body);
  const { chunk } = JSON.parse(response.body) as FileStatus;
  assert.equal(chunk?.end, data.length - 1);
  const reply = await fetch(`${server.origin}/api/files/download/a.txt`, { headers: server.client.headers });
  assert.ok(data.equals(Buffer.from(await reply.arrayBuffer())));
});

test('a refused form stores nothing', async (t) => {
  const server = await startServer(t);
  const file = { name: 'file', body: CHUNK };
  const whole = form(file);
  await t.test('no part "file"', async () => {
    assertProblem(await post(server, form({ name: 'data', body: CHUNK, filename: 'a' })), 'validation_failed');
    assertProblem(await post(server, form({ name: 'note', body: Buffer.from('x') })), 'validation_failed');
  });
  await t.test('two parts "file"', async () => {
    assertProblem(await post(server, form(file, file)), 'invalid_request');
  });
  await t.test('cut off in the part, after it, in the last boundary', async () => {
    assertProblem(await post(server, whole.subarray(0, whole.length - BOUNDARY.length - 20)), 'length_mismatch');
    const cut = form(file, { name: 'note', body: Buffer.from('x') });
    assertProblem(await post(server, cut.subarray(0, cut.length - BOUNDARY.length - 12)), 'invalid_request');
  });
  await t.test('too many bytes besides the part', async () => {
    const much = { name: 'other', body: Buffer.alloc(3_000_000), filename: 'o' };
    assertProblem(await post(server, form(much, file)), 'invalid_request');
    assertProblem(await post(server, form(file, much)), 'invalid_request');
    assertProblem(await post(server, Buffer.concat([whole, Buffer.alloc(3_000_000)])), 'invalid_request');
    assertProblem(
      await post(server, form(...Array<Part>(40).fill({ name: 'n', body: Buffer.from('1') }), file)),
      'invalid_request',
    );
  });
  await t.test('a wrong Content-Digest', async () => {
    const problem = assertProblem(await post(server, whole, `Content-Digest: ${digest(CHUNK)}`), 'checksum_mismatch');
    assert.match(problem.detail, /Checksum validation failed/);
    assertProblem(await post(server, whole, 'Content-Digest: sha-256=:AAAA:'), 'invalid_request');
  });
  assert.equal((await stored(server)).status, 'pending');
});

test('Content-Digest of a form covers the whole body', async (t) => {
  const server = await startServer(t);
  const body = form({ name: 'file', body: CHUNK }, { name: 'after', body: Buffer.from('counts too') });
  const response = await post(server, body, `Content-Digest: ${digest(body)}`);
  assert.equal(response.status, 200, response.body);
});

test('a form stores an empty file', async (t) => {
  const { origin, client } = await startServer(t);
  const body = new FormData();
  body.set('file', new Blob([]), 'empty');
  const reply = await fetch(`${origin}/api/files/upload?filename=empty&total_size=0`, {
    method: 'POST',
    headers: client.headers,
    body,
  });
  assert.equal(reply.status, 200);
  assert.equal(((await reply.json()) as FileStatus).status, 'complete');
});

test('a form that stalls is ended', async (t) => {
  const { port, client } = await startServer(t, { LADING_IDLE_SECONDS: '1' });
  const wire = await Wire.open(port);
  wire.head(
    'POST /api/files/upload?filename=a.txt HTTP/1.1',
    'Host: localhost',
    `Authorization: ${client.headers.authorization}`,
    `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
    'Content-Length: 1000',
  );
  wire.send(`--${BOUNDARY}\r\n`);
  assertProblem(await wire.response(), 'request_timeout');
  wire.destroy();
});

test('a form that trickles outside its part is ended by the minimum rate, not by its size', async (t) => {
  let now = Date.now();
  const clock = clockOf(() => now);
  const server = await startServer(t, { LADING_MIN_BYTES_PER_SECOND: '100', LADING_IDLE_SECONDS: '120' }, { clock });
  const wire = await Wire.open(server.port);
  wire.head(
    'POST /api/files/upload?filename=a.txt HTTP/1.1',
    'Host: localhost',
    `Authorization: ${server.client.headers.authorization}`,
    `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
    'Content-Length: 100000',
  );
  wire.send(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="note"\r\n\r\n`);
  const answer = wire.response();
  let answered = false;
  answer.finally(() => {
    answered = true;
  });
  while (!answered) {
    await new Promise<void>((sent) => wire.socket.write('x', () => sent()));
    // One write every five seconds: below the minimum rate, but never silent for the idle time.
    now += 5_000;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assertProblem(await answer, 'request_timeout');
  wire.destroy();
});

test('a client that leaves during a form leaves no data', async (t) => {
  const server = await startServer(t);
  const body = form({ name: 'file', body: encodeChunk(0, Buffer.alloc(1_000_000)) });
  const wire = await Wire.open(server.port);
  wire.head(
    'POST /api/files/upload?filename=a.txt HTTP/1.1',
    'Host: localhost',
    `Authorization: ${server.client.headers.authorization}`,
    `Content-Type: multipart/form-data; boundary=${BOUNDARY}`,
    `Content-Length: ${body.length}`,
  );
  await new Promise<void>((sent) => wire.socket.write(body.subarray(0, 500_000), () => sent()));
  wire.destroy();
  const again = await post(server, form({ name: 'file', body: CHUNK }));
  assert.equal(again.status, 200, again.body);
  assert.equal((await stored(server)).bytes_received, 26);
});

test('a form that must be refused is refused before it is read', async (t) => {
  const { origin, client } = await startServer(t, { LADING_MAX_FILE_BYTES: '1000' });
  const body = new FormData();
  body.set('file', new Blob([CHUNK]));
  const url = `${origin}/api/files/upload?filename=a&total_size=1001`;
  await assertProblemReply(await fetch(url, { method: 'POST', headers: client.headers, body }), 'file_too_large');
});
