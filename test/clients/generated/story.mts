/**
 * Uploads a file in chunks, out of order, and downloads it, with types that are generated from the OpenAPI document.
 * Usage: node story.mjs ORIGIN CLIENT_ID CLIENT_SECRET
 */
import assert from 'node:assert/strict';
import createClient from 'openapi-fetch';
import type { components, paths } from './lading.ts';

const [origin = '', username = '', password = ''] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: origin });
const data = Buffer.from(Array.from({ length: 10_240 }, (_, index) => index % 256));
const filename = 'recordings/day one.bin';

/** Bytes start to end of the data, with the chunk header before them. */
function chunk(start: number, end: number): Blob {
  const bytes = data.subarray(start, end + 1);
  const header = Buffer.alloc(17);
  header.writeBigUInt64BE(BigInt(start), 0);
  header.writeBigUInt64BE(BigInt(end), 8);
  header.writeUInt8(bytes.reduce((sum, byte) => sum + byte, 0) % 256, 16);
  return new Blob([header, bytes]);
}

const signedIn = await api.POST('/auth/token', {
  body: { username, password },
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  bodySerializer: (body) => new URLSearchParams({ username: body.username, password: body.password }).toString(),
});
assert.ok(signedIn.data);
const headers = { authorization: `Bearer ${signedIn.data.access_token}` };

async function send(total_size: number, start: number, end: number) {
  return api.POST('/api/files/upload', {
    params: { query: { filename, total_size } },
    headers: { ...headers, 'content-type': 'application/octet-stream' },
    body: '',
    bodySerializer: () => chunk(start, end),
  });
}

const last = await send(data.length, 5000, data.length - 1);
// The reply to a train may be text with a status object per line; the reply to a chunk is always an object.
assert.ok(typeof last.data === 'object');
assert.equal(last.data.status, 'partial');
assert.deepEqual(last.data.missing, [[0, 4999]]);
const first = await send(data.length, 0, 4999);
assert.ok(typeof first.data === 'object');
const file: components['schemas']['FileStatus'] = first.data;
assert.equal(file.status, 'complete');

const path = { filename };
const whole = await api.GET('/api/files/download/{filename}', { params: { path }, headers, parseAs: 'arrayBuffer' });
assert.ok(whole.data && Buffer.from(whole.data as ArrayBuffer).equals(data));
const part = await api.GET('/api/files/download/{filename}', {
  params: { path, header: { Range: 'bytes=100-199' } },
  headers,
  parseAs: 'arrayBuffer',
});
assert.equal(part.response.status, 206);

const again = await send(7, 0, 4);
assert.match(again.error?.code ?? '', /^(?:file_complete|size_conflict)$/);
const listed = await api.GET('/api/files', { headers });
assert.deepEqual(
  listed.data?.files.map((one) => one.filename),
  [filename],
);
const removed = await api.DELETE('/api/files/{filename}', { params: { path }, headers });
assert.equal(removed.response.status, 200);
const after = await api.GET('/api/files/status/{filename}', { params: { path }, headers });
assert.ok(typeof after.data === 'object');
assert.equal(after.data.status, 'pending');
console.log('done');
