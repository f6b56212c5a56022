/** Uploads files to a server and downloads them. */
import assert from 'node:assert/strict';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import type { TestServer } from '../product/server.ts';

export const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz');

/** Uploads one chunk as the client of the server, with these upload parameters. */
export async function put(
  { origin, client }: TestServer,
  name: string,
  start: number,
  bytes: Uint8Array,
  query: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<FileStatus> {
  const parameters = new URLSearchParams({ filename: name, ...query });
  const reply = await fetch(`${origin}/api/files/upload?${parameters}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', ...client.headers, ...headers },
    body: bytes.length === 0 ? '' : encodeChunk(start, bytes),
  });
  const status = (await reply.json()) as FileStatus;
  assert.equal(reply.status, 200, JSON.stringify(status));
  return status;
}

export interface Got {
  status: number;
  headers: Headers;
  body: Buffer;
}

/** Sends one download request, by default with the credentials of the client. */
export async function get(
  { origin, client }: TestServer,
  name: string,
  headers: Record<string, string> = {},
  { method = 'GET', query = '' }: { method?: string; query?: string } = {},
): Promise<Got> {
  const url = `${origin}/api/files/download/${encodeURIComponent(name)}${query}`;
  const reply = await fetch(url, { method, headers: { ...client.headers, ...headers } });
  return { status: reply.status, headers: reply.headers, body: Buffer.from(await reply.arrayBuffer()) };
}

/** Status, Content-Range and body as text, in one line. */
export function summaryOf({ status, headers, body }: Got): string {
  const range = headers.get('content-range');
  return `${status}${range === null ? '' : ` ${range}`} ${body.toString('latin1')}`;
}

export interface Part {
  type: string | null;
  range: string | null;
  body: string;
}

/** Parses a multipart/byteranges reply strictly, by its boundary and the length of each part. */
export function partsOf({ headers, body }: Got): Part[] {
  const boundary = /^multipart\/byteranges; boundary=([\w-]+)$/.exec(headers.get('content-type') ?? '')?.[1];
  assert.ok(boundary, String(headers.get('content-type')));
  assert.equal(headers.get('content-length'), String(body.length));
  const text = body.toString('latin1');
  const parts: Part[] = [];
  let at = 0;
  while (!text.startsWith(`--${boundary}--\r\n`, at)) {
    assert.ok(text.startsWith(`--${boundary}\r\n`, at), `no boundary at ${at}`);
    const head = at + boundary.length + 4;
    const data = text.indexOf('\r\n\r\n', head) + 4;
    const fields = new Headers(
      text
        .slice(head, data - 4)
        .split('\r\n')
        .map((line) => line.split(': ') as [string, string]),
    );
    const range = fields.get('content-range');
    const [, start = '', end = ''] = /^bytes (\d+)-(\d+)\//.exec(range ?? '') ?? [];
    const next = data + Number(end) - Number(start) + 1;
    parts.push({ type: fields.get('content-type'), range, body: text.slice(data, next) });
    assert.ok(text.startsWith('\r\n', next));
    at = next + 2;
  }
  assert.equal(at + boundary.length + 6, text.length);
  return parts;
}

/** The number of running downloads and the bytes of memory that they use, from `/metrics`. */
export async function downloadGauges({ origin, admin }: TestServer): Promise<{ active: number; held: number }> {
  const text = await (await fetch(`${origin}/metrics`, { headers: admin.headers })).text();
  const value = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  return { active: value('lading_downloads'), held: value('lading_download_buffer_bytes') };
}
