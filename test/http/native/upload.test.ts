import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ErrorCode } from '../../../src/errors.ts';
import { encodeChunk, encodeChunkHeader, sum256 } from '../../../src/protocol/chunk.ts';
import { crc32, hex32 } from '../../../src/protocol/crc32.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import type { Problem } from '../../../src/protocol/schemas/problem.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { repoRoot } from '../../support/root.ts';
import { assertProblem, assertProblemReply, Wire } from '../../support/wire/wire.ts';

const OCTETS = { 'content-type': 'application/octet-stream' };
const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz');

/** Sends a chunk as the raw body; `query` begins with the name. */
function post(
  { origin, client }: TestServer,
  query: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${origin}/api/files/upload?filename=${query}`, {
    method: 'POST',
    headers: { ...OCTETS, ...client.headers, ...headers },
    body,
  });
}

async function stored(reply: Response): Promise<FileStatus> {
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  return JSON.parse(text) as FileStatus;
}

async function statusOf({ origin, client }: TestServer, name: string): Promise<FileStatus> {
  return stored(await fetch(`${origin}/api/files/status/${name}`, { headers: client.headers }));
}

interface Vectors {
  valid: { name: string; start: number; end: number; header_hex: string; data_hex: string }[];
  invalid: { name: string; header_hex: string; data_hex?: string; code: ErrorCode }[];
}

const vectors = JSON.parse(readFileSync(join(repoRoot(), 'test/protocol/chunk-header.json'), 'utf8')) as Vectors;

test('every valid vector is stored, and every invalid one is refused with its code and leaves no data', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: String(Number.MAX_SAFE_INTEGER) });
  for (const [i, { name, start, end, header_hex: header, data_hex: data }] of vectors.valid.entries()) {
    // A disk may not have offsets up to 2^53-1; that is its limit, not the protocol's.
    if (end > 2 ** 42) continue;
    await t.test(name, async () => {
      const status = await stored(await post(server, `good-${i}`, Buffer.from(header + data, 'hex')));
      assert.equal(status.bytes_received, end - start + 1);
      assert.deepEqual(status.chunk, { start, end, crc32: hex32(crc32(Buffer.from(data, 'hex'))), duplicate: false });
    });
  }
  for (const [i, { name, header_hex: header, data_hex: data = '', code }] of vectors.invalid.entries()) {
    await t.test(name, async () => {
      const problem = await assertProblemReply(await post(server, `bad-${i}`, Buffer.from(header + data, 'hex')), code);
      if (code === 'checksum_mismatch') assert.match(problem.detail, /Checksum validation failed/);
      assert.equal((await statusOf(server, `bad-${i}`)).status, 'pending');
    });
  }
});

test('sizes, checksums and digests in header fields are checked', async (t) => {
  const server = await startServer(t, { LADING_MAX_CHUNK_BYTES: '1MiB', LADING_MAX_FILE_BYTES: '2MiB' });
  const chunk = encodeChunk(0, ALPHABET);
  const digest = (bytes: Uint8Array, algorithm = 'sha256'): string =>
    `${algorithm.replace('sha', 'sha-')}=:${createHash(algorithm).update(bytes).digest('base64')}:`;
  const crc = hex32(crc32(ALPHABET));
  const good: Record<string, [string, Record<string, string>]> = {
    'X-Chunk-CRC32': ['', { 'x-chunk-crc32': crc }],
    'X-Chunk-CRC32 in capitals': ['', { 'x-chunk-crc32': crc.toUpperCase() }],
    'Content-Range with the size': ['', { 'content-range': 'bytes 0-25/26' }],
    'Content-Range without': ['', { 'content-range': 'bytes 0-25/*' }],
    'both sizes, equal': ['&total_size=26', { 'content-range': 'bytes 0-25/26' }],
    'Content-Digest': ['', { 'content-digest': digest(chunk) }],
    'Content-Digest, SHA-512': ['', { 'content-digest': digest(chunk, 'sha512') }],
    'Repr-Digest': ['&total_size=26', { 'repr-digest': digest(ALPHABET) }],
    'an unknown digest beside a known one': ['', { 'content-digest': `md5=:AAAA:, ${digest(chunk)}` }],
  };
  for (const [what, [query, headers]] of Object.entries(good)) {
    await t.test(what, async () => {
      const name = encodeURIComponent(what);
      assert.equal((await stored(await post(server, name + query, chunk, headers))).status, 'complete');
    });
  }
  const bad: Record<string, [ErrorCode, string, Record<string, string>]> = {
    'a wrong CRC-32': ['checksum_mismatch', '', { 'x-chunk-crc32': '00000000' }],
    'a short CRC-32': ['invalid_request', '', { 'x-chunk-crc32': '123' }],
    'a CRC-32 with 0x': ['invalid_request', '', { 'x-chunk-crc32': '0x123456' }],
    'two sizes': ['size_conflict', '&total_size=27', { 'content-range': 'bytes 0-25/26' }],
    'another range': ['invalid_request', '', { 'content-range': 'bytes 1-26/30' }],
    'a range of another length': ['length_mismatch', '', { 'content-range': 'bytes 0-26/30' }],
    'another unit': ['invalid_request', '', { 'content-range': 'items 0-25/26' }],
    'a range past its size': ['out_of_bounds', '', { 'content-range': 'bytes 0-25/25' }],
    'past the declared size': ['out_of_bounds', '&total_size=25', {}],
    'a negative size': ['invalid_request', '&total_size=-1', {}],
    'too large a file': ['file_too_large', '&total_size=2097153', {}],
    'a wrong Content-Digest': ['checksum_mismatch', '', { 'content-digest': digest(ALPHABET) }],
    'a malformed Content-Digest': ['invalid_request', '', { 'content-digest': 'sha-256=abc' }],
    'only unknown digests': ['invalid_request', '', { 'content-digest': 'md5=:AAAA:' }],
    'a wrong Repr-Digest': ['digest_mismatch', '&total_size=26', { 'repr-digest': digest(chunk) }],
    'overwrite without a size': ['invalid_request', '&overwrite=true', {}],
    'a content type with a line break': ['invalid_request', '&content_type=text%2Fplain%0d%0aX-A:1', {}],
  };
  for (const [what, [code, query, headers]] of Object.entries(bad)) {
    await t.test(what, async () => {
      const name = encodeURIComponent(`bad ${what}`);
      await assertProblemReply(await post(server, name + query, chunk, headers), code);
      assert.equal((await statusOf(server, name)).bytes_received, 0);
    });
  }
  await t.test('a chunk that is too large', async () => {
    const large = encodeChunk(0, Buffer.alloc(1024 ** 2 + 1));
    await assertProblemReply(await post(server, 'large', large), 'chunk_too_large');
  });
});

test('a chunk arrives the same in any segments and without a length', async (t) => {
  const { port, client, ...server } = await startServer(t);
  const wire = await Wire.open(port);
  wire.head(
    'POST /api/files/upload?filename=a&total_size=26 HTTP/1.1',
    'Host: x',
    `Authorization: ${client.headers.authorization}`,
    'Content-Type: application/octet-stream',
    'Transfer-Encoding: chunked',
  );
  for (const byte of encodeChunk(0, ALPHABET)) {
    wire.send('1;ext="a b"\r\n').send(Uint8Array.of(byte)).send('\r\n');
    await new Promise((resolve) => setImmediate(resolve));
  }
  const response = await wire.send('0\r\nX-Trailer: ignored\r\n\r\n').response();
  assert.equal(response.status, 200, response.body);
  wire.destroy();
  const reply = await fetch(`${server.origin}/api/files/download/a`, { headers: client.headers });
  assert.equal(await reply.text(), ALPHABET.toString());
});

test('no byte counts after a wrong length, broken framing or a client that leaves', async (t) => {
  const server = await startServer(t);
  const { port, client } = server;
  const chunk = encodeChunk(0, ALPHABET);
  const head = (framing: string): string[] => [
    'POST /api/files/upload?filename=a HTTP/1.1',
    'Host: x',
    `Authorization: ${client.headers.authorization}`,
    'Content-Type: application/octet-stream',
    framing,
  ];
  const send = async (framing: string, ...pieces: (Uint8Array | string)[]): Promise<Problem['code']> => {
    const wire = await Wire.open(port);
    wire.head(...head(framing));
    for (const piece of pieces) wire.send(piece);
    const response = await wire.response();
    wire.destroy();
    return (JSON.parse(response.body) as Problem).code;
  };
  assert.equal(await send('Content-Length: 20', chunk.subarray(0, 20)), 'length_mismatch');
  assert.equal(await send('Content-Length: 60', chunk, Buffer.alloc(17)), 'length_mismatch');
  assert.equal(await send('Content-Length: 5', chunk.subarray(0, 5)), 'malformed_header');
  assert.equal(await send('Content-Length: 0'), 'malformed_header');
  assert.equal(await send('Transfer-Encoding: chunked', '0\r\n\r\n'), 'malformed_header');
  for (const garbage of ['zz\r\n', '-1\r\n', 'ffffffffffffffffff\r\n']) {
    const wire = await Wire.open(port);
    wire
      .head(...head('Transfer-Encoding: chunked'))
      .send('5\r\n')
      .send(chunk.subarray(0, 5))
      .send('\r\n')
      .send(garbage);
    assertProblem(await wire.response(), 'invalid_request');
    await wire.closed();
  }
  for (const sent of [0, 5, 17, 30, chunk.length - 1]) {
    const wire = await Wire.open(port);
    wire.head(...head(`Content-Length: ${chunk.length}`));
    await new Promise<void>((written) => wire.socket.write(chunk.subarray(0, sent), () => written()));
    wire.destroy();
  }
  const half = await Wire.open(port);
  half.head(...head(`Content-Length: ${chunk.length}`)).send(chunk.subarray(0, 30));
  half.socket.end();
  await half.closed();
  assert.equal((await statusOf(server, 'a')).status, 'pending');
  assert.equal((await stored(await post(server, 'a', chunk))).status, 'complete');
});

test('an empty file is stored', async (t) => {
  const server = await startServer(t);
  const status = await stored(await post(server, 'empty&total_size=0', new Uint8Array()));
  assert.deepEqual([status.status, status.total_bytes, status.next_expected_byte], ['complete', 0, 0]);
  assert.deepEqual([status.crc32, status.readable, status.chunk], ['00000000', true, undefined]);
  await assertProblemReply(await post(server, 'other&total_size=1', new Uint8Array()), 'malformed_header');
});

test('a request without a Content-Type is a raw chunk', async (t) => {
  const { port, client } = await startServer(t);
  const chunk = encodeChunk(0, ALPHABET);
  const wire = await Wire.open(port);
  wire.head(
    'POST /api/files/upload?filename=a HTTP/1.1',
    'Host: x',
    `Authorization: ${client.headers.authorization}`,
    `Content-Length: ${chunk.length}`,
  );
  const response = await wire.send(chunk).response();
  assert.equal(response.status, 200, response.body);
  wire.destroy();
});

test('pipelined chunks on one connection are all stored', async (t) => {
  const { port, client } = await startServer(t);
  const wire = await Wire.open(port);
  for (let i = 0; i < 20; i += 1) {
    const chunk = encodeChunk(i * 26, ALPHABET);
    wire.head(
      'POST /api/files/upload?filename=a&total_size=520 HTTP/1.1',
      'Host: x',
      `Authorization: ${client.headers.authorization}`,
      'Content-Type: application/octet-stream',
      `Content-Length: ${chunk.length}`,
    );
    wire.send(chunk);
  }
  for (let i = 0; i < 20; i += 1) {
    const { chunk } = JSON.parse((await wire.response()).body) as FileStatus;
    assert.equal(chunk?.start, i * 26);
  }
  wire.destroy();
});

test('a name is kept as it was sent, without Unicode normalization', async (t) => {
  const server = await startServer(t);
  for (const name of [
    'a b+c',
    'ünïcödé/☃/\u{1f600}.bin',
    '100%25',
    '%2e%2e%2f',
    'quote"\'\\',
    '__proto__',
    'con:?*<>|',
    '.hidden',
    'e\u0301',
  ]) {
    const status = await stored(await post(server, encodeURIComponent(name), encodeChunk(0, ALPHABET)));
    assert.equal(status.filename, name);
    assert.equal((await statusOf(server, encodeURIComponent(name))).filename, name);
  }
});

test('the checksum in the header covers only the data', async (t) => {
  const server = await startServer(t);
  const header = encodeChunkHeader({ start: 0, end: 25, checksum: (sum256(ALPHABET) + 1) & 0xff });
  const { expected, actual } = await assertProblemReply(
    await post(server, 'a', Buffer.concat([header, ALPHABET])),
    'checksum_mismatch',
  );
  assert.deepEqual([expected, actual], [(sum256(ALPHABET) + 1) & 0xff, sum256(ALPHABET)]);
});
