/** Requests of tus, built by hand. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { eventually } from '../eventually.ts';
import type { TestServer } from '../product/server.ts';

export const TYPE = 'application/offset+octet-stream';

export type Fields = Record<string, string>;

/** The header fields that a client sends with every request. */
export function tusHeaders({ client }: TestServer, more: Fields = {}): Fields {
  return { ...client.headers, 'tus-resumable': '1.0.0', ...more };
}

export async function begin(server: TestServer, more: Fields = {}, body?: Uint8Array): Promise<string> {
  const reply = await fetch(`${server.origin}/files/`, {
    method: 'POST',
    headers: tusHeaders(server, more),
    body: body ?? null,
  });
  assert.equal(reply.status, 201, await reply.text());
  return new URL(reply.headers.get('location') ?? '', server.origin).href;
}

export function ask(
  server: TestServer,
  url: string,
  method = 'HEAD',
  more: Fields = {},
  body?: Uint8Array,
): Promise<Response> {
  return fetch(url, { method, headers: tusHeaders(server, more), body: body ?? null });
}

export function send(
  server: TestServer,
  url: string,
  offset: number,
  body: Uint8Array,
  more: Fields = {},
): Promise<Response> {
  return ask(server, url, 'PATCH', { 'content-type': TYPE, 'upload-offset': String(offset), ...more }, body);
}

export async function offsetOf(server: TestServer, url: string): Promise<number> {
  const reply = await ask(server, url);
  assert.equal(reply.status, 200);
  return Number(reply.headers.get('upload-offset'));
}

export async function download(server: TestServer, name: string): Promise<Buffer> {
  const reply = await fetch(`${server.origin}/api/files/download/${name}`, { headers: server.client.headers });
  assert.equal(reply.status, 200);
  return Buffer.from(await reply.arrayBuffer());
}

export const metadata = (pairs: Fields): string =>
  Object.entries(pairs)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',');

/** Starts a PATCH that sends fewer bytes than it declares. */
export async function hanging(
  server: TestServer,
  url: string,
  offset: number,
  bytes: Uint8Array,
  length: number,
  more: Fields = {},
): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1');
  const fields = { ...tusHeaders(server), host: 'x', 'content-type': TYPE, 'upload-offset': String(offset), ...more };
  const head = Object.entries({ ...fields, 'content-length': String(length) }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  socket.on('error', () => {});
  socket.write(`PATCH ${new URL(url).pathname} HTTP/1.1\r\n${head.join('')}\r\n`);
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  return socket;
}

/** Waits until the server is receiving a body. */
export async function receiving({ app }: TestServer): Promise<void> {
  await eventually(() => app.engine.gauges().receiving === 1, 'the request runs');
}

/** SHA-256 of a complete file, in hexadecimal. */
export async function sha256Of(
  { origin, client }: Pick<TestServer, 'origin' | 'client'>,
  name: string,
): Promise<string> {
  const reply = await fetch(`${origin}/api/files/download/${encodeURIComponent(name)}`, { headers: client.headers });
  assert.equal(reply.status, 200);
  return createHash('sha256')
    .update(Buffer.from(await reply.arrayBuffer()))
    .digest('hex');
}
