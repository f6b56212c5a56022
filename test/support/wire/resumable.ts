/** Requests of the resumable upload draft, built by hand. */
import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { TestServer } from '../product/server.ts';

export type Fields = Record<string, string>;

export interface ResumableReply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
  /** The interim responses, in order. */
  interim: { status: number; headers: IncomingHttpHeaders }[];
}

export interface ResumableRequest {
  headers?: Fields;
  body?: Uint8Array | string;
  /** Sends the body with the chunked coding, without a length. */
  chunked?: boolean;
}

export const PARTIAL = 'application/partial-upload';

/** Sends one request and reads the whole reply. `path` may be a URL. */
export function ask(
  server: TestServer,
  method: string,
  path: string,
  options: ResumableRequest = {},
): Promise<ResumableReply> {
  const url = new URL(path, server.origin);
  const body = options.body === undefined ? undefined : Buffer.from(options.body as string);
  const headers: Fields = { ...server.client.headers, ...options.headers };
  if (!options.chunked) headers['content-length'] = String(body?.length ?? 0);
  if (method === 'GET' || method === 'HEAD' || method === 'DELETE') delete headers['content-length'];
  return new Promise((resolve, reject) => {
    const interim: ResumableReply['interim'] = [];
    const open = url.protocol === 'https:' ? secureRequest : request;
    const sent = open(url, { method, headers, rejectUnauthorized: false });
    sent.on('information', ({ statusCode, headers: fields }) => interim.push({ status: statusCode, headers: fields }));
    sent.on('continue', () => sent.end(body));
    sent.on('error', reject);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, interim }),
      );
    });
    if (options.headers?.expect !== undefined || options.chunked) sent.flushHeaders();
    if (options.headers?.expect === undefined) sent.end(body);
  });
}

/** Creates an upload with these first bytes; returns its URL. */
export async function begin(server: TestServer, body: Uint8Array | string = '', headers: Fields = {}): Promise<string> {
  const reply = await ask(server, 'POST', '/api/uploads', { headers: { 'upload-complete': '?0', ...headers }, body });
  assert.equal(reply.status, 201, reply.body);
  return new URL(reply.headers.location ?? '', server.origin).href;
}

export function append(
  server: TestServer,
  url: string,
  offset: number,
  body: Uint8Array | string,
  complete: '?0' | '?1',
  more: Fields = {},
): Promise<ResumableReply> {
  const headers = { 'content-type': PARTIAL, 'upload-offset': String(offset), 'upload-complete': complete, ...more };
  return ask(server, 'PATCH', url, { headers, body });
}

export async function offsetOf(server: TestServer, url: string): Promise<number> {
  const { status, headers } = await ask(server, 'HEAD', url);
  assert.equal(status, 204);
  return Number(headers['upload-offset']);
}

/** Starts a request that sends fewer bytes than it declares. */
export async function hanging(
  server: TestServer,
  method: string,
  path: string,
  headers: Fields,
  bytes: Uint8Array,
  length: number,
): Promise<{ socket: Socket; reply(): string }> {
  const socket = connect(server.port, '127.0.0.1');
  let reply = '';
  socket.on('data', (data) => {
    reply += data.toString('latin1');
  });
  socket.on('error', () => {});
  const all = { ...server.client.headers, host: 'x', ...headers, 'content-length': String(length) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const { pathname, search } = new URL(path, server.origin);
  socket.write(`${method} ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`);
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  return { socket, reply: () => reply };
}

export async function content(server: TestServer, name: string): Promise<Buffer> {
  const path = `${server.origin}/api/files/download/${encodeURIComponent(name)}`;
  const reply = await fetch(path, { headers: server.client.headers });
  assert.equal(reply.status, 200, await (reply.ok ? '' : reply.text()));
  return Buffer.from(await reply.arrayBuffer());
}
