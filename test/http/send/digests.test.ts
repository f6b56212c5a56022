/** Digests of uploads (RFC 9530) over real sockets, in headers and trailers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { append, ask, begin, content, offsetOf, PARTIAL } from '../../support/wire/resumable.ts';

const TYPES = 'https://iana.org/assignments/http-problem-types';

const digest = (bytes: Uint8Array | string, algorithm = 'sha-256'): string =>
  `${algorithm}=:${createHash(algorithm.replace('-', '')).update(bytes).digest('base64')}:`;

/** Sends a request with this trailer section. Returns the status and the body of the answer. */
async function withTrailers(
  server: TestServer,
  line: string,
  headers: Record<string, string>,
  body: Uint8Array,
  trailers: string,
): Promise<{ status: number; body: string }> {
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => {
    answer += data.toString();
  });
  const all = { ...server.client.headers, host: 'x', connection: 'close', 'transfer-encoding': 'chunked', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${line} HTTP/1.1\r\n${lines.join('')}\r\n${body.length.toString(16)}\r\n`);
  socket.write(body);
  socket.write(`\r\n0\r\n${trailers}\r\n`);
  await new Promise((resolve) => socket.on('close', resolve));
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]), body: answer.slice(answer.indexOf('\r\n\r\n') + 4) };
}

test('D1 both active algorithms are checked, and deprecated ones are not sufficient', async (t) => {
  const server = await startServer(t);
  for (const algorithm of ['sha-256', 'sha-512']) {
    const path = `/api/files/content/${algorithm}`;
    for (const field of ['content-digest', 'repr-digest']) {
      const wrong = await ask(server, 'PUT', path, { headers: { [field]: digest('other', algorithm) }, body: 'bytes' });
      assert.equal(wrong.status, 400);
      const right = await ask(server, 'PUT', path, { headers: { [field]: digest('bytes', algorithm) }, body: 'bytes' });
      assert.ok(right.status < 300, right.body);
    }
    assert.equal((await content(server, algorithm)).toString(), 'bytes');
  }
  const weak = { 'content-digest': 'md5=:SxEzlyH0ZF0=:, unixsum=:AA==:' };
  assert.equal((await ask(server, 'PUT', '/api/files/content/w', { headers: weak, body: 'x' })).status, 400);
});

test('D4 either field may be a trailer of a file, an upload or a chunk', async (t) => {
  const server = await startServer(t);
  const bytes = Buffer.from('hello, digests');
  for (const field of ['Content-Digest', 'Repr-Digest']) {
    const announced = { trailer: field };
    const put = (trailers: string) =>
      withTrailers(server, 'PUT /api/files/content/late', announced, bytes, trailers).then(({ status }) => status);
    assert.equal(await put(`${field}: ${digest('other')}\r\n`), 400);
    assert.equal(await put(''), 400, 'announced, and not there');
    assert.ok((await put(`${field}: ${digest(bytes)}\r\n`)) < 300);
    assert.equal((await content(server, 'late')).toString(), bytes.toString());
    const deleted = await fetch(`${server.origin}/api/files/late`, {
      method: 'DELETE',
      headers: server.client.headers,
    });
    assert.ok(deleted.ok);
  }

  const url = await begin(server, '', { 'content-disposition': 'attachment; filename="up"' });
  const { pathname } = new URL(url);
  const fields = { 'content-type': PARTIAL, 'upload-offset': '0', 'upload-complete': '?0', trailer: 'Content-Digest' };
  const patch = (trailers: string, more: Record<string, string> = {}) =>
    withTrailers(server, `PATCH ${pathname}`, { ...fields, ...more }, bytes, trailers);
  assert.equal((await patch(`Content-Digest: ${digest('other')}\r\n`)).status, 400);
  assert.equal(await offsetOf(server, url), 0);
  assert.equal((await patch(`Content-Digest: ${digest(bytes)}\r\n`)).status, 204);
  const more = { 'upload-offset': String(bytes.length), 'upload-complete': '?1', trailer: 'Repr-Digest' };
  const whole = Buffer.concat([bytes, bytes]);
  assert.equal((await patch(`Repr-Digest: ${digest(whole)}\r\n`, more)).status, 200);
  assert.ok((await content(server, 'up')).equals(whole));

  const chunk = Buffer.from(encodeChunk(0, bytes));
  const target = `POST /api/files/upload?filename=chunk&total_size=${bytes.length}`;
  const type = { 'content-type': 'application/octet-stream' };
  const post = (field: string, value: string) =>
    withTrailers(server, target, { ...type, trailer: field }, chunk, `${field}: ${value}\r\n`);
  assert.equal((await post('Content-Digest', digest(bytes))).status, 400, 'the header of the chunk is content, too');
  assert.equal((await post('Repr-Digest', digest('other'))).status, 400);
  assert.equal((await post('Content-Digest', digest(chunk))).status, 200);
  assert.equal((await content(server, 'chunk')).toString(), bytes.toString());
});

test('D5 an unknown algorithm is ignored beside a known one, and refused alone', async (t) => {
  const server = await startServer(t);
  const put = (value: string) =>
    ask(server, 'PUT', '/api/files/content/a', { headers: { 'content-digest': value }, body: 'bytes' });
  assert.ok((await put(`crc64=:AAAA:, ${digest('bytes')}`)).status < 300);
  assert.ok((await put(`${digest('bytes', 'sha-512')}, ${digest('bytes')}`)).status < 300);
  assert.equal((await put('crc64=:AAAA:')).status, 400);
});

test('D6 errors of digests have the problem types of the draft and the field', async (t) => {
  const server = await startServer(t);
  const put = async (field: string, value: string) => {
    const { status, body } = await ask(server, 'PUT', '/api/files/content/a', {
      headers: { [field]: value },
      body: 'bytes',
    });
    assert.equal(status, 400);
    return JSON.parse(body) as Record<string, unknown>;
  };
  const unknown = await put('content-digest', 'md5=:AAAA:');
  assert.equal(unknown.type, `${TYPES}#digest-unsupported-algorithms`);
  assert.deepEqual(unknown.unsupported_algorithms, [{ algorithm: 'md5', header: 'Content-Digest' }]);
  const invalid = await put('repr-digest', 'sha-256=:AAAA:');
  assert.equal(invalid.type, `${TYPES}#digest-invalid-values`);
  assert.equal(invalid.header, 'Repr-Digest');
  const other = createHash('sha256').update('other').digest('base64');
  const mismatch = await put('repr-digest', `sha-256=:${other}:`);
  assert.equal(mismatch.type, `${TYPES}#digest-mismatched-values`);
  assert.deepEqual([mismatch.algorithm, mismatch.provided_digest, mismatch.header], ['sha-256', other, 'Repr-Digest']);
  const url = await begin(server);
  const refused = await append(server, url, 0, 'bytes', '?0', { 'content-digest': digest('other') });
  const told = JSON.parse(refused.body) as Record<string, unknown>;
  assert.equal(told.type, `${TYPES}#digest-mismatched-values`);
  assert.equal(told.header, 'Content-Digest');
});
