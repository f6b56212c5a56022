/** Uploads when the network or the server fails during a request, through a proxy that breaks connections. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { signIn, startServer, type TestServer } from '../support/product/server.ts';
import { startServerProcess, temporaryFolder } from '../support/servers/processes.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { begin, download, metadata, offsetOf, send, TYPE } from '../support/wire/tus.ts';

const SIZE = 6_000_000;

interface Sent {
  socket: Socket;
  /** Bytes of the header section. */
  head: number;
  heard(): string;
}

/** A PATCH of `bytes` through the proxy; `length` is what it announces, null for a body in chunks. */
function patch(
  { origin }: { origin: string },
  url: string,
  authorization: string,
  offset: number,
  bytes: Uint8Array,
  length: number | null = bytes.length,
): Sent {
  const { hostname, port } = new URL(origin);
  const socket = connect(Number(port), hostname);
  let heard = '';
  socket.on('data', (data) => {
    heard += data.toString('latin1');
  });
  socket.on('error', () => {});
  const framing = length === null ? 'transfer-encoding: chunked' : `content-length: ${length}`;
  const lines = [
    `PATCH ${new URL(url).pathname} HTTP/1.1`,
    'host: x',
    `authorization: ${authorization}`,
    'tus-resumable: 1.0.0',
    `content-type: ${TYPE}`,
    `upload-offset: ${offset}`,
    framing,
  ];
  const head = `${lines.join('\r\n')}\r\n\r\n`;
  socket.write(head);
  if (length === null) {
    socket.write(`${bytes.length.toString(16)}\r\n`);
    socket.write(bytes);
    socket.write('\r\n0\r\n\r\n');
  } else socket.write(bytes);
  return { socket, head: head.length, heard: () => heard };
}

async function ready(t: Parameters<typeof startServer>[0], settings: Record<string, string> = {}) {
  const server = await startServer(t, settings);
  const proxy = await startProxy(t, server.port);
  const bytes = randomBytes(SIZE);
  const url = await begin(server, { 'upload-length': String(SIZE), 'upload-metadata': metadata({ filename: 'f' }) });
  return { server, proxy, bytes, url, authorization: server.client.headers.authorization };
}

const quiet = ({ app }: TestServer) => eventually(() => app.engine.gauges().receiving === 0, 'the request is over');

/** Sends the rest and compares the whole file. */
async function finish(server: TestServer, url: string, bytes: Buffer): Promise<void> {
  const offset = await offsetOf(server, url);
  const { status, headers } = await send(server, url, offset, bytes.subarray(offset));
  assert.equal(status, 204);
  assert.equal(headers.get('upload-offset'), String(bytes.length));
  assert.ok((await download(server, 'f')).equals(bytes));
}

/** True if the system of the receiver has taken all bytes that were sent to this port (Linux). */
async function isDelivered(port: number): Promise<boolean> {
  const [, ...lines] = (await readFile('/proc/net/tcp', 'utf8')).trim().split('\n');
  return lines.every((line) => {
    const [, , remote = '', state, queues = ''] = line.trim().split(/\s+/);
    const ours = state === '01' && Number.parseInt(remote.split(':')[1] ?? '', 16) === port;
    return !ours || Number.parseInt(queues.split(':')[0] ?? '', 16) === 0;
  });
}

test('success: everything works through a transparent proxy', async (t) => {
  const { server, proxy, bytes, url, authorization } = await ready(t);
  const { heard, socket } = patch(proxy, url, authorization, 0, bytes);
  await eventually(() => heard().includes('\r\n\r\n'), 'the answer');
  assert.match(heard(), /^HTTP\/1\.1 204 /);
  socket.destroy();
  assert.ok((await download(server, 'f')).equals(bytes));
});

test('unexpected close: every byte that arrived before it counts', async (t) => {
  const { server, bytes, url, authorization } = await ready(t);
  const { socket } = patch(server, url, authorization, 0, bytes.subarray(0, 2_345_678), SIZE);
  socket.end();
  await new Promise((resolve) => socket.on('close', resolve));
  await quiet(server);
  assert.equal(await offsetOf(server, url), 2_345_678);
  await finish(server, url, bytes);
});

test('reset: every byte that the system received before it counts', {
  skip: process.platform === 'linux' ? false : 'what the system has received is read from /proc',
}, async (t) => {
  const { server, proxy, bytes, url, authorization } = await ready(t);
  for (const cut of [100_000, 1_000_001, 3_333_333]) {
    const before = await offsetOf(server, url);
    proxy.rule = () => ({ stallAfterSent: cut });
    proxy.sent = 0;
    const { head } = patch(proxy, url, authorization, before, bytes.subarray(before));
    await eventually(async () => proxy.sent === cut && (await isDelivered(server.port)), 'the system has it');
    proxy.sever();
    await quiet(server);
    assert.equal(await offsetOf(server, url), before + cut - head);
  }
  await finish(server, url, bytes);
});

test('read timeout: bytes before the silence count, and the client gets Retry-After or a retryable status', async (t) => {
  const { server, proxy, bytes, url, authorization } = await ready(t, { LADING_IDLE_SECONDS: '1' });
  proxy.rule = () => ({ stallAfterSent: 1_000_000 });
  const { socket, head, heard } = patch(proxy, url, authorization, 0, bytes);
  await eventually(() => heard().includes('\r\n\r\n'), 'the server gives up');
  assert.match(heard(), /^HTTP\/1\.1 503 /);
  socket.destroy();
  assert.equal(await offsetOf(server, url), 1_000_000 - head);
  await finish(server, url, bytes);
});

test('lock release: a newer request continues at once while the old connection seems alive', async (t) => {
  const { server, proxy, bytes, url, authorization } = await ready(t);
  proxy.rule = () => ({ stallAfterSent: 2_000_000 });
  const { head, socket } = patch(proxy, url, authorization, 0, bytes);
  await eventually(() => proxy.sent === 2_000_000, 'it stalls');
  assert.equal(await offsetOf(server, url), 2_000_000 - head);
  const second = patch(proxy, url, authorization, 2_000_000 - head, bytes.subarray(2_000_000 - head));
  await eventually(() => proxy.sent >= 4_000_000, 'the next one stalls, too');
  await finish(server, url, bytes);
  socket.destroy();
  second.socket.destroy();
});

test('length exceeded: refused, and nothing is stored past the length', async (t) => {
  const { server, proxy, bytes, url, authorization } = await ready(t);
  const { heard, socket } = patch(proxy, url, authorization, 0, Buffer.concat([bytes, Buffer.from('more')]), null);
  await eventually(() => heard().includes('\r\n\r\n'), 'the answer');
  assert.match(heard(), /^HTTP\/1\.1 413 /);
  socket.destroy();
  await quiet(server);
  await finish(server, url, bytes);
});

test('stopped by the server: a request whose authorization ends gets an answer', async (t) => {
  const { server, proxy, bytes, url, authorization } = await ready(t);
  const { heard, socket } = patch(proxy, url, authorization, 0, bytes.subarray(0, 1_000_000), SIZE);
  await eventually(() => proxy.sent > 1_000_000, 'it runs');
  const removed = await fetch(`${server.origin}/api/clients/${server.client.id}`, {
    method: 'DELETE',
    headers: server.admin.headers,
  });
  assert.ok(removed.ok);
  await eventually(() => heard().includes('\r\n\r\n'), 'the answer');
  assert.match(heard(), /^HTTP\/1\.1 401 /);
  assert.match(heard(), /connection: close/i);
  socket.destroy();
});

/** Ends a server process. Both ways to end it leave its uploads in the same state. */
async function interrupted(t: Parameters<typeof startServer>[0], signal: 'SIGTERM' | 'SIGKILL') {
  const folder = join(await temporaryFolder(t), 'data');
  const first = await startServerProcess(t, folder, 0, { LADING_SHUTDOWN_SECONDS: '2' });
  const origin = `http://127.0.0.1:${first.port}`;
  const secret = String(first.env.LADING_CLIENT_SECRET);
  const { access_token: token } = await signIn(origin, 'admin', secret);
  const authorization = `Bearer ${token}`;
  const client = { id: 'admin', secret, token, headers: { authorization } };
  const server = { origin, port: first.port, client } as TestServer;
  const bytes = randomBytes(40_000_000);
  const fields = { 'upload-length': String(bytes.length), 'upload-metadata': metadata({ filename: 'f' }) };
  const url = await begin(server, fields);
  const sent = patch(server, url, authorization, 0, bytes.subarray(0, 30_000_000), bytes.length);
  // The status includes only counted bytes.
  const status = async (): Promise<number> => {
    const reply = await fetch(`${origin}/api/files/status/f`, { headers: client.headers });
    return ((await reply.json()) as { bytes_received: number }).bytes_received;
  };
  await eventually(async () => (await status()) > 0, 'a part of it counts');
  const counted = await status();
  const ended = new Promise((resolve) => first.process.on('exit', resolve));
  first.process.kill(signal);
  await ended;
  sent.socket.destroy();
  await startServerProcess(t, folder, first.port);
  const offset = await offsetOf(server, url);
  assert.ok(offset >= counted, `${offset} of ${counted}`);
  assert.ok(offset <= 30_000_000);
  const rest = await send(server, url, offset, bytes.subarray(offset));
  assert.equal(rest.status, 204);
  assert.ok((await download(server, 'f')).equals(bytes));
  return { offset, heard: sent.heard() };
}

test('shutdown: received bytes count, the request is answered, and the upload continues after the restart', async (t) => {
  const { offset, heard } = await interrupted(t, 'SIGTERM');
  assert.equal(offset, 30_000_000, 'a server that stops in order loses nothing that it received');
  assert.match(heard, /^HTTP\/1\.1 503 /);
});

test('killed: counted bytes are stored, and the upload continues after the restart', async (t) => {
  await interrupted(t, 'SIGKILL');
});
