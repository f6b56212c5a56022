import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, get as request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { eventually } from '../../support/eventually.ts';
import { content } from '../../support/product/device.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { ALPHABET, downloadGauges, get, partsOf, put, summaryOf } from '../../support/wire/downloads.ts';
import { assertProblemReply, Wire } from '../../support/wire/wire.ts';

const NAME = 'letters';
const MIB = 1024 ** 2;

function slice(start: number, end: number): Buffer {
  return ALPHABET.subarray(start, end + 1);
}

test('with follow=true a received range is sent at once, and a missing one is not an error', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, slice(0, 9), { total_size: '26' });
  assert.equal(
    summaryOf(await get(server, NAME, { range: 'bytes=2-4' }, { query: '?follow=true' })),
    '206 bytes 2-4/26 cde',
  );
  const waiting = get(server, NAME, { range: 'bytes=8-12' }, { query: '?follow=true' });
  await put(server, NAME, 10, slice(10, 25));
  const whole = await waiting;
  assert.equal(whole.status, 200);
  assert.deepEqual(whole.body, ALPHABET);
});

test('a completely received range of an unfinished file is sent with the size, or with /*', async (t) => {
  const server = await startServer(t);
  await put(server, 'declared', 10, slice(10, 19), { total_size: '26' });
  await put(server, 'undeclared', 10, slice(10, 19));
  for (const [name, size] of [
    ['declared', '26'],
    ['undeclared', '*'],
  ] as const) {
    const got = await get(server, name, { range: 'bytes=12-14' });
    assert.equal(summaryOf(got), `206 bytes 12-14/${size} mno`);
    assert.equal(got.headers.get('etag'), null);
    assert.equal(got.headers.get('last-modified'), null);
    assert.equal(got.headers.get('cache-control'), 'no-store');
    const several = await get(server, name, { range: 'bytes=10-11,18-19' });
    assert.deepEqual(
      partsOf(several).map(({ range, body }) => [range, body]),
      [
        [`bytes 10-11/${size}`, 'kl'],
        [`bytes 18-19/${size}`, 'st'],
      ],
    );
  }
});

test('a range that was not received, or that needs an undeclared size, is not_complete', async (t) => {
  const server = await startServer(t);
  await put(server, 'declared', 10, slice(10, 25), { total_size: '26' });
  await put(server, 'undeclared', 10, slice(10, 19));
  const { origin, client } = server;
  const refused = async (name: string, headers: Record<string, string>): Promise<void> => {
    const reply = await fetch(`${origin}/api/files/download/${name}`, { headers: { ...client.headers, ...headers } });
    await assertProblemReply(reply, 'not_complete');
  };
  for (const range of ['bytes=9-10', 'bytes=0-', 'bytes=12-14,0-1', 'bytes=-20', 'nonsense'])
    await refused('declared', { range });
  for (const range of ['bytes=12-20', 'bytes=12-', 'bytes=-3', 'bytes=12-13,15-'])
    await refused('undeclared', { range });
  for (const name of ['declared', 'undeclared']) {
    await refused(name, {});
    // An unfinished file has no entity tag that could match.
    await refused(name, { range: 'bytes=12-14', 'if-range': '"x"' });
  }
  assert.equal((await get(server, 'declared', { range: 'bytes=12-14' }, { method: 'HEAD' })).status, 404);
  // With a declared size, ranges are clipped to it.
  assert.equal(summaryOf(await get(server, 'declared', { range: 'bytes=24-' })), '206 bytes 24-25/26 yz');
  assert.equal(summaryOf(await get(server, 'declared', { range: 'bytes=-2' })), '206 bytes 24-25/26 yz');
  assert.equal(summaryOf(await get(server, 'declared', { range: 'bytes=24-99' })), '206 bytes 24-25/26 yz');
  assert.equal((await get(server, 'declared', { range: 'bytes=26-' })).status, 416);
});

test('a file of undeclared size grows with each completion', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, slice(0, 4));
  const first = await get(server, NAME);
  assert.equal(summaryOf(first), '200 abcde');
  await put(server, NAME, 5, slice(5, 9));
  const second = await get(server, NAME);
  assert.equal(summaryOf(second), '200 abcdefghij');
  assert.notEqual(second.headers.get('etag'), first.headers.get('etag'));
  assert.equal(summaryOf(await get(server, NAME, { range: 'bytes=-3' })), '206 bytes 7-9/10 hij');
  await put(server, NAME, 12, slice(12, 14));
  assert.equal((await get(server, NAME)).status, 404);
});

test('readers get the old file during a replacement', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  await put(server, NAME, 0, Buffer.from('01234'), { total_size: '10', overwrite: 'true' });
  assert.equal(summaryOf(await get(server, NAME, {}, { query: '?follow=true' })), `200 ${ALPHABET}`);
  await put(server, NAME, 5, Buffer.from('56789'));
  assert.equal(summaryOf(await get(server, NAME)), '200 0123456789');
});

interface Following {
  response: IncomingMessage;
  /** The bytes received so far. */
  text(): string;
  /** How the download ended; null while it is running. */
  end(): 'whole' | 'cut' | null;
  leave(): void;
}

async function follow({ port, client }: TestServer, name: string, method = 'GET'): Promise<Following> {
  const path = `/api/files/download/${name}?follow=true`;
  const asked = request({ port, host: '127.0.0.1', path, method, headers: client.headers, agent: false });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const pieces: Buffer[] = [];
  let end: 'whole' | 'cut' | null = null;
  response.on('data', (piece: Buffer) => pieces.push(piece));
  response.on('error', () => {});
  response.on('close', () => {
    end = response.complete ? 'whole' : 'cut';
  });
  return {
    response,
    text: () => Buffer.concat(pieces).toString('latin1'),
    end: () => end,
    leave: () => asked.destroy(),
  };
}

async function assertQuiet(server: TestServer): Promise<void> {
  await eventually(async () => {
    const { active, held } = await downloadGauges(server);
    return active === 0 && held === 0;
  }, 'the end of all downloads');
}

test('follow: contiguous bytes are sent as soon as they arrive', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 20, slice(20, 25), { total_size: '26' });
  const following = await follow(server, NAME);
  const { statusCode, headers } = following.response;
  assert.equal(statusCode, 200);
  assert.equal(headers['content-length'], '26');
  assert.equal(headers.etag, undefined);
  assert.equal(headers['cache-control'], 'no-store');
  await put(server, NAME, 0, slice(0, 4));
  await eventually(() => following.text() === 'abcde', 'the first bytes');
  await put(server, NAME, 10, slice(10, 19));
  await put(server, NAME, 5, slice(5, 6));
  await eventually(() => following.text() === 'abcdefg', 'two more');
  await put(server, NAME, 7, slice(7, 9));
  await eventually(() => following.end() !== null, 'the end');
  assert.equal(following.end(), 'whole');
  assert.equal(following.text(), ALPHABET.toString());
  await assertQuiet(server);
});

test('follow: several clients read a large file at different speeds', async (t) => {
  const server = await startServer(t);
  const file = content(0, 6 * MIB + 5);
  const size = String(file.length);
  await put(server, NAME, MIB, file.subarray(MIB, 2 * MIB), { total_size: size });
  const followers = await Promise.all([follow(server, NAME), follow(server, NAME), follow(server, NAME)]);
  followers[1]?.response.pause();
  for (const start of [0, 4, 3, 2, 5, 6].map((n) => n * MIB))
    await put(server, NAME, start, file.subarray(start, start + MIB));
  followers[1]?.response.resume();
  for (const each of followers) {
    await eventually(() => each.end() !== null, 'the end');
    assert.equal(each.end(), 'whole');
    assert.ok(Buffer.from(each.text(), 'latin1').equals(file));
  }
  await assertQuiet(server);
});

test('follow: a complete file is an ordinary download', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, ALPHABET, { total_size: '26' });
  const got = await get(server, NAME, { range: 'bytes=0-4' }, { query: '?follow=true' });
  assert.equal(summaryOf(got), '206 bytes 0-4/26 abcde');
  assert.ok(got.headers.get('etag'));
  assert.equal((await get(server, 'nothing', {}, { query: '?follow=true' })).status, 404);
  assert.equal((await get(server, NAME, {}, { query: '?follow=yes' })).status, 400);
});

test('follow: HEAD does not wait', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, slice(0, 4), { total_size: '26' });
  const got = await get(server, NAME, {}, { method: 'HEAD', query: '?follow=true' });
  assert.equal(summaryOf(got), '200 ');
  assert.equal(got.headers.get('content-length'), '26');
});

test('follow: when no more bytes arrive, the connection is cut off so that the client notices the truncation', async (t) => {
  const server = await startServer(t, {}, { followSilenceMs: 300 });
  await put(server, NAME, 0, slice(0, 4), { total_size: '26' });
  const following = await follow(server, NAME);
  await eventually(() => following.end() !== null, 'the end');
  assert.equal(following.end(), 'cut');
  assert.equal(following.text(), 'abcde');
  await assertQuiet(server);
});

test('follow: an arriving chunk keeps the download waiting, however long it takes', async (t) => {
  const server = await startServer(t, {}, { followSilenceMs: 1000 });
  await put(server, NAME, 0, slice(0, 4), { total_size: '26' });
  const wire = await Wire.open(server.port);
  t.after(() => wire.destroy());
  const chunk = encodeChunk(5, slice(5, 25));
  wire.head(
    `POST /api/files/upload?filename=${NAME} HTTP/1.1`,
    'Host: a',
    `Authorization: ${server.client.headers.authorization}`,
    `Content-Length: ${chunk.length}`,
  );
  wire.send(chunk.subarray(0, 18));
  await eventually(() => server.app.engine.gauges().receiving === 1, 'the chunk');
  const following = await follow(server, NAME);
  for (const byte of chunk.subarray(18)) {
    await sleep(100);
    wire.send(Uint8Array.of(byte));
  }
  assert.equal((await wire.response()).status, 200);
  await eventually(() => following.end() !== null, 'the end');
  assert.equal(following.end(), 'whole');
  assert.equal(following.text(), ALPHABET.toString());
});

test('follow: an undeclared size is followed until the file is sealed', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, slice(0, 4));
  const following = await follow(server, NAME);
  assert.equal(following.response.headers['content-length'], undefined);
  await eventually(() => following.text() === 'abcde', 'the first bytes');
  await put(server, NAME, 5, slice(5, 9));
  await eventually(() => following.text() === 'abcdefghij', 'the next');
  assert.equal(following.end(), null);
  const { origin, client } = server;
  const sealed = await fetch(`${origin}/api/files/complete/${NAME}`, { method: 'POST', headers: client.headers });
  assert.equal(sealed.status, 200);
  await eventually(() => following.end() !== null, 'the end');
  assert.equal(following.end(), 'whole');
  assert.equal(following.text(), 'abcdefghij');
});

test('follow: an undeclared size ends after silence, complete without a gap and cut off with one', async (t) => {
  const server = await startServer(t, {}, { followSilenceMs: 300 });
  await put(server, 'covered', 0, slice(0, 4));
  await put(server, 'gap', 0, slice(0, 4));
  await put(server, 'gap', 6, slice(6, 8));
  for (const [name, end] of [
    ['covered', 'whole'],
    ['gap', 'cut'],
  ] as const) {
    const following = await follow(server, name);
    await eventually(() => following.end() !== null, 'the end');
    assert.equal(following.end(), end, name);
    assert.equal(following.text(), 'abcde');
  }
});

test('follow: a cancelled upload cuts the download off', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, slice(0, 4), { total_size: '26' });
  const following = await follow(server, NAME);
  await eventually(() => following.text() === 'abcde', 'the first bytes');
  const { origin, client } = server;
  await fetch(`${origin}/api/files/${NAME}`, { method: 'DELETE', headers: client.headers });
  await eventually(() => following.end() !== null, 'the end');
  assert.equal(following.end(), 'cut');
  await assertQuiet(server);
});

test('follow: a client that leaves frees its download', async (t) => {
  const server = await startServer(t);
  await put(server, NAME, 0, slice(0, 4), { total_size: '26' });
  const following = await follow(server, NAME);
  await eventually(() => following.text() === 'abcde', 'the first bytes');
  assert.equal((await downloadGauges(server)).held, 0, 'who waits holds no memory');
  following.leave();
  await assertQuiet(server);
});

test('follow: a server that stops does not wait for more bytes', async (t) => {
  const server = await startServer(t, { LADING_SHUTDOWN_SECONDS: '600' });
  await put(server, NAME, 0, slice(0, 4), { total_size: '26' });
  const following = await follow(server, NAME);
  await eventually(() => following.text() === 'abcde', 'the first bytes');
  await server.close();
  await eventually(() => following.end() !== null, 'the end');
  assert.equal(following.end(), 'cut');
});
