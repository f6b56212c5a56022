/** The log line of a refused request has the code of the answer, for every protocol. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { ErrorCode } from '../../../src/errors.ts';
import { createLog } from '../../../src/http/observe/log.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';

interface Line {
  status: number;
  code?: string;
  path?: string;
  request_id?: string;
}

interface Case {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Without a token. */
  open?: true;
  status: number;
  code: ErrorCode;
}

const CHUNK = { 'content-type': 'application/octet-stream' };
const JSON_BODY = { 'content-type': 'application/json' };
const TUS = { 'tus-resumable': '1.0.0' };
const DRAFT = { 'upload-draft-interop-version': '8', 'content-type': 'application/partial-upload' };

const CASES: Case[] = [
  { path: '/api/files', open: true, status: 401, code: 'unauthorized' },
  { path: '/api/files/download/none', status: 404, code: 'not_found' },
  { path: '/nowhere', status: 404, code: 'not_found' },
  { method: 'PATCH', path: '/api/files', status: 405, code: 'method_not_allowed' },
  { path: '/api/files?limt=1', status: 422, code: 'validation_failed' },
  { path: '/api/clients', status: 403, code: 'insufficient_scope' },
  {
    method: 'POST',
    path: '/auth/token',
    open: true,
    body: 'x',
    headers: JSON_BODY,
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    method: 'POST',
    path: '/api/files/upload?filename=c',
    headers: CHUNK,
    body: 'short',
    status: 400,
    code: 'malformed_header',
  },
  {
    method: 'POST',
    path: '/api/files/upload?filename=c&total_size=1',
    headers: CHUNK,
    body: encodeChunk(0, Buffer.from('ab')),
    status: 400,
    code: 'out_of_bounds',
  },
  {
    method: 'POST',
    path: '/api/files/upload?filename=..',
    headers: CHUNK,
    body: 'x',
    status: 400,
    code: 'invalid_name',
  },
  { path: '/api/files/download/whole', headers: { range: 'bytes=9-' }, status: 416, code: 'range_not_satisfiable' },
  { path: '/api/files/download/whole', headers: { 'if-match': '"old"' }, status: 412, code: 'precondition_failed' },
  {
    method: 'PUT',
    path: '/api/files/content/whole',
    headers: { 'if-none-match': '*' },
    body: 'other',
    status: 412,
    code: 'precondition_failed',
  },
  { path: '/openapi.json', open: true, headers: { 'if-match': '"old"' }, status: 412, code: 'precondition_failed' },
  // tus
  { method: 'POST', path: '/files', headers: TUS, status: 400, code: 'invalid_request' },
  { method: 'POST', path: '/files', headers: { 'tus-resumable': '0.1.0' }, status: 412, code: 'precondition_failed' },
  { method: 'PATCH', path: `/files/${'0'.repeat(32)}`, headers: TUS, status: 404, code: 'not_found' },
  { method: 'HEAD', path: `/files/${'0'.repeat(32)}`, headers: TUS, status: 404, code: 'not_found' },
  // Resumable uploads of HTTP
  { method: 'PATCH', path: `/api/uploads/${'0'.repeat(32)}`, headers: DRAFT, status: 404, code: 'not_found' },
  { method: 'HEAD', path: `/api/uploads/${'0'.repeat(32)}`, status: 404, code: 'not_found' },
  // OAuth, shared files, pages: other forms of errors
  {
    method: 'POST',
    path: '/api/oauth/token',
    open: true,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=none',
    status: 400,
    code: 'invalid_request',
  },
  { path: '/s/lsh_0000000000000000_none', open: true, status: 404, code: 'not_found' },
];

async function ask({ origin, client }: TestServer, one: Case, id: string): Promise<number> {
  const reply = await fetch(`${origin}${one.path}`, {
    method: one.method ?? 'GET',
    headers: { ...(one.open ? {} : client.headers), ...one.headers, 'x-request-id': id },
    ...(one.body === undefined ? {} : { body: one.body }),
  });
  await reply.arrayBuffer();
  return reply.status;
}

test('every refusal has its code in the log, and other requests have none', async (t) => {
  const lines: Line[] = [];
  const log = createLog('debug', { write: (line) => void lines.push(JSON.parse(line)) });
  const server = await startServer(t, {}, { log });
  const put = await fetch(`${server.origin}/api/files/content/whole`, {
    method: 'PUT',
    headers: { ...server.client.headers, 'x-request-id': 'good' },
    body: 'whole',
  });
  assert.equal(put.status, 201);
  const seen: unknown[] = [];
  for (const [index, one] of CASES.entries()) seen.push([one.path, await ask(server, one, `case-${index}`)]);
  const lineOf = (id: string): Line | undefined => lines.find(({ request_id: of }) => of === id);
  await eventually(() => CASES.every((_, index) => lineOf(`case-${index}`)), 'a line for each request');
  const found = CASES.map(({ path }, index) => {
    const line = lineOf(`case-${index}`);
    return [path, line?.status, line?.code];
  });
  assert.deepEqual(
    found,
    CASES.map(({ path, status, code }) => [path, status, code]),
  );
  assert.deepEqual(
    seen,
    CASES.map(({ path, status }) => [path, status]),
  );
  assert.ok(!('code' in (lineOf('good') ?? { code: '' })));
});

test('input that cannot be parsed also has a log line with its code', async (t) => {
  const lines: Line[] = [];
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const { port } = await startServer(t, {}, { log });
  for (const [text, status, code] of [
    ['NONSENSE\r\n\r\n', 400, 'invalid_request'],
    [`GET / HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: junk\r\n\r\n', 501, 'not_implemented'],
  ] as const) {
    lines.length = 0;
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(text);
    await eventually(() => lines.some((line) => line.code === code), `a line with ${code}`);
    assert.equal(lines.find((line) => line.code === code)?.status, status);
  }
});
