/** Pipelined requests (RFC 9112 §9.3.2) are handled and answered in their order, and few of them are buffered. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { Wire } from '../../support/wire/wire.ts';

async function put({ origin, client }: TestServer, query: string, start: number, data: string): Promise<void> {
  const body = encodeChunk(start, Buffer.from(data));
  const url = `${origin}/api/files/upload?${query}`;
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  const reply = await fetch(url, { method: 'POST', headers, body });
  assert.equal(reply.status, 200, await reply.text());
}

async function statusOf({ origin, client }: TestServer, name: string): Promise<FileStatus['status']> {
  const reply = await fetch(`${origin}/api/files/status/${name}`, { headers: client.headers });
  return ((await reply.json()) as FileStatus).status;
}

/** A connection whose first answer continues until `end` is called. */
async function busyConnection(server: TestServer): Promise<{ wire: Wire; end(): Promise<void> }> {
  await put(server, 'filename=slow&total_size=6', 0, 'one');
  const wire = await Wire.open(server.port);
  const { authorization } = server.client.headers;
  wire.head('GET /api/files/download/slow?follow=true HTTP/1.1', 'Host: x', `Authorization: ${authorization}`);
  return { wire, end: () => put(server, 'filename=slow', 3, 'two') };
}

test('a pipelined request waits for the answer to the previous one', async (t) => {
  const server = await startServer(t);
  await put(server, 'filename=other&total_size=3', 0, 'abc');
  const { wire, end } = await busyConnection(server);
  const authorization = `Authorization: ${server.client.headers.authorization}`;
  wire.head('DELETE /api/files/other HTTP/1.1', 'Host: x', authorization);
  wire.head('GET /api/files/status/other HTTP/1.1', 'Host: x', authorization);
  for (let round = 0; round < 20; round += 1) assert.equal(await statusOf(server, 'other'), 'complete');
  await end();
  const followed = await wire.response();
  assert.equal(followed.status, 200);
  const body = followed.headers['transfer-encoding'] === 'chunked' ? await wire.chunkedBody() : followed.body;
  assert.equal(body, 'onetwo');
  assert.equal((await wire.response()).status, 200);
  const status = JSON.parse((await wire.response()).body) as FileStatus;
  assert.equal(status.status, 'pending', 'the third saw what the second did');
  wire.destroy();
});

test('pipelined chunks are all stored, in their order', async (t) => {
  const server = await startServer(t);
  const wire = await Wire.open(server.port);
  for (let i = 0; i < 50; i += 1) {
    const body = encodeChunk(i * 4, Buffer.from(`${i}`.padStart(4)));
    wire.head(
      'POST /api/files/upload?filename=f&total_size=200 HTTP/1.1',
      'Host: x',
      `Authorization: ${server.client.headers.authorization}`,
      'Content-Type: application/octet-stream',
      `Content-Length: ${body.length}`,
    );
    wire.send(body);
  }
  for (let i = 0; i < 50; i += 1) {
    const reply = await wire.response();
    assert.equal(reply.status, 200, reply.body);
    const status = JSON.parse(reply.body) as FileStatus;
    assert.equal(status.bytes_received, (i + 1) * 4);
  }
  assert.equal(await statusOf(server, 'f'), 'complete');
  wire.destroy();
});

test('the server stops reading requests that it cannot answer yet', async (t) => {
  const server = await startServer(t);
  const received = async (): Promise<number> => {
    const reply = await fetch(`${server.origin}/metrics`, { headers: server.admin.headers });
    return Number(/^lading_received_bytes_total (\d+)/m.exec(await reply.text())?.[1]);
  };
  const { wire, end } = await busyConnection(server);
  const before = await received();
  wire.send('GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200_000));
  let now = await received();
  for (let last = -1; now - last > 4096; ) {
    last = now;
    await delay(100);
    now = await received();
  }
  assert.ok(now - before < 1024 ** 2, `${now - before} bytes were read`);
  await end();
  assert.equal((await wire.response()).status, 200);
  wire.destroy();
});
