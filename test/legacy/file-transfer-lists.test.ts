/** Older file transfer: long lists, invalid fields, replaced files, and a day by Python. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunkHeader, sum256 } from '../../src/protocol/chunk.ts';
import { handClock } from '../support/product/clock.ts';
import { startServer } from '../support/product/server.ts';
import { Device } from './file-transfer-day-setup.ts';
import { ALPHABET } from './file-transfer-setup.ts';
import { connectTo, multipart, type OldReply, pythonDay } from './old-client.ts';

// The proxy uses a self-signed certificate.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

test('3,000 files are listed in one reply, and in pages with a limit', async (t) => {
  const server = await startServer(t, { LADING_DURABILITY: 'seal' });
  const device = new Device(await connectTo(t, server.origin), server.client);
  const wanted: string[] = [];
  for (let n = 0; n < 3000; n += 1) {
    const name = `logs/${String(n).padStart(4, '0')}.log`;
    wanted.push(name);
    assert.equal((await device.chunk(name, 0, Buffer.from([n & 0xff]))).status, 200);
  }
  assert.deepEqual(await device.names(), wanted);
  const whole = await device.ask('GET', '/api/files');
  assert.equal((whole.json.files as unknown[]).length, 3000);
  assert.equal(whole.json.next_cursor, null);
  const page = await device.ask('GET', '/api/files?limit=7');
  assert.equal((page.json.files as unknown[]).length, 7);
  assert.equal(typeof page.json.next_cursor, 'string');
  const rest = await device.ask('GET', `/api/files?cursor=${page.json.next_cursor}`);
  assert.equal((rest.json.files as unknown[]).length, 2993);
  const some = await device.ask('GET', '/api/files?prefix=logs/29&status=complete');
  assert.equal((some.json.files as unknown[]).length, 100);
  assert.deepEqual((await device.ask('GET', '/api/files?status=partial')).json, { files: [], next_cursor: null });
});

test('an invalid Content-Range is ignored with a form, a valid one must match the chunk', async (t) => {
  const server = await startServer(t);
  const header = encodeChunkHeader({ start: 0, end: 25, checksum: sum256(ALPHABET) });
  const { headers = {}, body } = multipart({}, { field: 'file', name: 'c', bytes: Buffer.concat([header, ALPHABET]) });
  const ask = await connectTo(t, server.origin);
  const send = (range: string, to = '/api/files/upload?filename=a.bin'): Promise<OldReply> =>
    ask('POST', to, { headers: { ...headers, ...server.client.headers, 'content-range': range }, body });
  for (const range of ['0-25', 'bytes=0-25/26', 'bytes 0-25', 'chunk 1 of 3', '-', 'bytes */*', 'items 0-25/26']) {
    assert.equal((await send(range)).status, 200, range);
  }
  assert.equal((await send('bytes 0-25/26')).status, 200);
  for (const range of ['bytes 0-9/26', 'bytes 25-0/26', 'bytes 1-26/*'])
    assert.equal((await send(range)).status, 400, range);
  // Other requests with an invalid Content-Range are refused.
  const raw = { ...server.client.headers, 'content-type': 'application/octet-stream', 'content-range': 'chunk 1' };
  const chunk = await ask('POST', '/api/files/upload?filename=b.bin', {
    headers: raw,
    body: Buffer.concat([header, ALPHABET]),
  });
  assert.equal(chunk.status, 400);
  assert.equal((await send('chunk 1', '/v1/audio/file')).status, 400);
});

test('a new version replaces a complete file from its first different chunk, and can be deleted while incomplete', async (t) => {
  const server = await startServer(t, { LADING_COMPAT: 'file-transfer' });
  const device = new Device(await connectTo(t, server.origin), server.client);
  const old = Buffer.from('0123456789'.repeat(300));
  await device.send('status.log', old);
  const before = await device.status('status.log');
  // A chunk that equals the beginning is a repeat and changes nothing.
  const repeat = await device.chunk('status.log', 0, old.subarray(0, 1000));
  assert.deepEqual((repeat.json.chunk as { duplicate: boolean }).duplicate, true);
  assert.equal((await device.status('status.log')).id, before.id);
  // A chunk with a wrong checksum does not begin a new version.
  assert.equal((await device.chunk('status.log', 0, Buffer.from('new'), 1)).status, 400);
  assert.equal(await device.read('status.log'), old.toString());
  assert.equal((await device.chunk('status.log', 0, Buffer.from('new'))).status, 200);
  assert.notEqual((await device.status('status.log')).id, before.id);
  assert.equal((await device.chunk('status.log', 3, Buffer.from('er'))).status, 200);
  assert.equal(await device.read('status.log'), 'newer');
  assert.equal((await device.ask('DELETE', '/api/files/status.log')).status, 200);
  assert.equal((await device.status('status.log')).status, 'pending');
  // A file whose size was declared is not extended.
  const declared = await device.ask('PUT', '/api/files/content/whole.txt', { body: 'whole' });
  assert.equal(declared.status, 201, declared.text);
  assert.equal((await device.chunk('whole.txt', 2, Buffer.from('xx'))).status, 409);
  assert.equal(await device.read('whole.txt'), 'whole');
});

test('a day of a device by Python and requests', async (t) => {
  const clock = handClock(Date.now());
  const server = await startServer(t, {}, { clock });
  await pythonDay(t, server, clock, 'file_transfer_day.py', [server.client.id, server.client.secret]);
});

test('a day of a device by Python and requests, with LADING_COMPAT=file-transfer', async (t) => {
  const clock = handClock(Date.now());
  const server = await startServer(t, { LADING_COMPAT: 'file-transfer' }, { clock });
  await pythonDay(t, server, clock, 'file_transfer_day.py', [server.client.id, server.client.secret, 'compat']);
});
