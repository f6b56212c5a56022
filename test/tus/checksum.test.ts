/** tus: the extensions checksum and checksum-trailer, over real sockets. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { crc32 } from '../../src/protocol/crc32.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import {
  ask,
  begin,
  download,
  hanging,
  metadata,
  offsetOf,
  receiving,
  send,
  TYPE,
  tusHeaders,
} from '../support/wire/tus.ts';

function checksum(algorithm: string, bytes: Uint8Array): string {
  if (algorithm !== 'crc32') return `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`;
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes, 0));
  return `crc32 ${value.toString('base64')}`;
}

test('T27 every algorithm that is listed is checked', async (t) => {
  const server = await startServer(t);
  const listed = (await fetch(`${server.origin}/files/`, { method: 'OPTIONS' })).headers.get('tus-checksum-algorithm');
  const algorithms = (listed ?? '').split(',');
  assert.ok(['sha1', 'md5', 'crc32', 'sha256'].every((name) => algorithms.includes(name)));
  for (const algorithm of algorithms) {
    const bytes = randomBytes(700_001);
    const fields = { 'upload-length': String(bytes.length), 'upload-metadata': metadata({ filename: algorithm }) };
    const url = await begin(server, fields);
    const [head, rest] = [bytes.subarray(0, 300_000), bytes.subarray(300_000)];
    const first = await send(server, url, 0, head, { 'upload-checksum': checksum(algorithm, head) });
    assert.equal(first.status, 204, `${algorithm}: ${await first.text()}`);
    const wrong = await send(server, url, 300_000, rest, { 'upload-checksum': checksum(algorithm, head) });
    assert.equal(wrong.status, 460, algorithm);
    assert.equal(await offsetOf(server, url), 300_000);
    const last = await send(server, url, 300_000, rest, { 'upload-checksum': checksum(algorithm, rest) });
    assert.equal(last.status, 204);
    assert.ok((await download(server, algorithm)).equals(bytes));
  }
});

test('T28 an unknown algorithm and an invalid value are 400', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  for (const value of ['crc64 AAAA', 'sha1', 'sha1 ###', 'sha1 AAAA', 'sha1 ', '', 'md5 AAAAA']) {
    const reply = await send(server, url, 0, Buffer.from('abc'), { 'upload-checksum': value });
    assert.equal(reply.status, 400, value);
  }
  assert.equal(await offsetOf(server, url), 0);
});

test('T29 a mismatch is 460, no byte counts, and the file neither grows nor completes', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(20 * 1024 * 1024);
  const fields = { 'upload-length': String(bytes.length), 'upload-metadata': metadata({ filename: 'a' }) };
  const url = await begin(server, fields);
  const wrong = await send(server, url, 0, bytes, { 'upload-checksum': checksum('sha1', bytes.subarray(1)) });
  assert.equal(wrong.status, 460);
  assert.equal(((await wrong.json()) as { code: string }).code, 'checksum_mismatch');
  assert.equal(await offsetOf(server, url), 0);
  assert.equal(server.app.engine.usage(`default/${server.client.id}`).bytes, 0);
  const right = await send(server, url, 0, bytes, { 'upload-checksum': checksum('sha1', bytes) });
  assert.equal(right.status, 204);
  assert.ok((await download(server, 'a')).equals(bytes));
});

test('T30 no byte of a broken request with a checksum is kept', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(300_000);
  const url = await begin(server, { 'upload-length': '300000', 'upload-metadata': metadata({ filename: 'b' }) });
  const socket = await hanging(server, url, 0, bytes.subarray(0, 200_000), bytes.length, {
    'upload-checksum': checksum('sha1', bytes),
  });
  await receiving(server);
  socket.destroySoon();
  await eventually(() => server.app.engine.gauges().receiving === 0, 'the request is over');
  assert.equal(await offsetOf(server, url), 0);
  const alive = await hanging(server, url, 0, bytes.subarray(0, 200_000), bytes.length, {
    'upload-checksum': checksum('sha1', bytes),
  });
  await receiving(server);
  assert.equal(await offsetOf(server, url), 0, 'one that a newer request takes over from, neither');
  alive.destroy();
});

/** A chunked body with a trailer field. */
async function withTrailer(server: TestServer, url: string, bytes: Uint8Array, trailer: string): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString();
  });
  const fields = {
    ...tusHeaders(server),
    host: 'x',
    connection: 'close',
    'content-type': TYPE,
    'upload-offset': '0',
    trailer: 'Upload-Checksum',
    'transfer-encoding': 'chunked',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`PATCH ${new URL(url).pathname} HTTP/1.1\r\n${lines.join('')}\r\n`);
  socket.write(`${bytes.length.toString(16)}\r\n`);
  socket.write(bytes);
  socket.write(`\r\n0\r\n${trailer}\r\n`);
  await new Promise((resolve) => socket.on('close', resolve));
  return answer;
}

test('T31 the checksum may be a trailer', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(100_000);
  const url = await begin(server, { 'upload-length': '100000', 'upload-metadata': metadata({ filename: 'c' }) });
  const wrong = await withTrailer(server, url, bytes, `Upload-Checksum: ${checksum('sha1', Buffer.from('x'))}\r\n`);
  assert.match(wrong, /^HTTP\/1\.1 460 /);
  assert.match(await withTrailer(server, url, bytes, ''), /^HTTP\/1\.1 400 /, 'announced, and not there');
  assert.match(await withTrailer(server, url, bytes, 'Upload-Checksum: crc64 AAAA\r\n'), /^HTTP\/1\.1 400 /);
  assert.equal(await offsetOf(server, url), 0);
  const right = await withTrailer(server, url, bytes, `Upload-Checksum: ${checksum('sha256', bytes)}\r\n`);
  assert.match(right, /^HTTP\/1\.1 204 /);
  assert.ok((await download(server, 'c')).equals(bytes));
});

test('T32 a creation whose bytes do not match their checksum leaves no upload', async (t) => {
  const server = await startServer(t);
  const fields = { 'upload-length': '6', 'content-type': TYPE, 'upload-metadata': metadata({ filename: 'd' }) };
  const create = (sum: string): Promise<Response> =>
    ask(server, `${server.origin}/files/`, 'POST', { ...fields, 'upload-checksum': sum }, Buffer.from('abc'));
  assert.equal((await create(checksum('sha1', Buffer.from('abd')))).status, 460);
  assert.equal(server.app.engine.gauges().open_uploads, 0);
  const right = await create(checksum('sha1', Buffer.from('abc')));
  assert.equal(right.status, 201);
  assert.equal(right.headers.get('upload-offset'), '3');
  const url = new URL(right.headers.get('location') ?? '', server.origin).href;
  assert.equal((await send(server, url, 3, Buffer.from('def'))).status, 204);
  assert.equal((await download(server, 'd')).toString(), 'abcdef');
});
