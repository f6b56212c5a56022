/** The requests that write or delete a file, one row each, for tests that cover all of them. */
import assert from 'node:assert/strict';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { encodeTrainChunk, TRAIN_TYPE } from '../../../src/protocol/train.ts';
import { wav } from '../audio.ts';
import { PASSWORD } from '../product/people.ts';
import type { TestServer } from '../product/server.ts';
import { ask, type Fields, PARTIAL, type ResumableReply, type ResumableRequest } from '../wire/resumable.ts';

/** A request that is ready to send. */
export interface PreparedRequest {
  method: string;
  path: string;
  headers: Fields;
  body?: Uint8Array;
}

export interface FileWrite {
  /** The operation of the OpenAPI document. Rows of one operation differ in `how`. */
  operation: string;
  how?: string;
  /**
   * `replaces`: an existing file, as requested; `creates`: refuses or renames if the file exists; `removes`: the file; `continues`: an upload
   * that replaces the file; `seals`: an upload of undeclared size.
   */
  kind: 'replaces' | 'creates' | 'removes' | 'continues' | 'seals';
  /** The statuses of a success. */
  successStatuses: number[];
  /** The status for a name in use; 409 by default. */
  takenStatus?: number;
  /** The credentials of a principal that may send it, if the ordinary client may not. */
  as?(server: TestServer): Promise<Fields>;
  /** The operation defines `Content-Range` itself. */
  ranged?: boolean;
  /** Prepares the request for the file of this name, and creates what else it needs. */
  prepare(server: TestServer, name: string): Promise<PreparedRequest>;
}

export const OLD = wav({ seconds: 0.1 });
export const NEW = wav({ seconds: 0.2 });
const BOUNDARY = 'xxBOUNDARYxx';

const path = (name: string): string => encodeURIComponent(name);
const base64 = (text: string): string => Buffer.from(text).toString('base64');

export function form(part: string, name: string, bytes: Uint8Array): Pick<PreparedRequest, 'headers' | 'body'> {
  const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${part}"; filename="${name}"\r\n\r\n`;
  const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${BOUNDARY}--\r\n`)]);
  return { headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }, body };
}

const TUS: Fields = { 'tus-resumable': '1.0.0' };
const TUS_BYTES: Fields = { ...TUS, 'content-type': 'application/offset+octet-stream' };

function tusCreation(name: string, more: Fields = {}): Fields {
  const overwrite = more.overwrite === undefined ? '' : `,overwrite ${base64('true')}`;
  return { ...TUS, 'upload-length': String(NEW.length), 'upload-metadata': `filename ${base64(name)}${overwrite}` };
}

const accounts = new WeakMap<TestServer, Promise<Fields>>();

/** The credentials of an ops account, created once per server. Needs `LADING_REGISTRATION=open`. */
function opsAccount(server: TestServer): Promise<Fields> {
  const known = accounts.get(server) ?? signUp(server);
  accounts.set(server, known);
  return known;
}

async function signUp(server: TestServer): Promise<Fields> {
  const body = JSON.stringify({ username: 'night-watch', password: PASSWORD });
  const request = { headers: { 'content-type': 'application/json' }, body };
  const created = await ask(server, 'POST', '/ops/signup', request);
  assert.equal(created.status, 201, created.body);
  const reply = await ask(server, 'POST', '/ops/login', request);
  assert.equal(reply.status, 200);
  return { authorization: `Bearer ${reply.body}` };
}

/** Creates an upload without bytes; returns its path. */
async function begun(server: TestServer, method: string, to: string, headers: Fields): Promise<string> {
  const reply = await ask(server, method, to, { headers });
  assert.equal(reply.status, 201, reply.body);
  return new URL(reply.headers.location ?? '', server.origin).pathname;
}

export const FILE_WRITES: FileWrite[] = [
  {
    operation: 'POST /api/files/upload',
    how: 'raw',
    kind: 'replaces',
    successStatuses: [200],
    ranged: true,
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/upload?filename=${path(name)}&overwrite=true&total_size=${NEW.length}`,
      headers: { 'content-type': 'application/octet-stream' },
      body: encodeChunk(0, NEW),
    }),
  },
  {
    operation: 'POST /api/files/upload',
    how: 'as a train',
    kind: 'replaces',
    successStatuses: [200],
    ranged: true,
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/upload?filename=${path(name)}&overwrite=true&total_size=${NEW.length}`,
      headers: { 'content-type': TRAIN_TYPE },
      body: encodeTrainChunk(0, NEW),
    }),
  },
  {
    operation: 'POST /api/files/upload',
    how: 'as a form',
    kind: 'replaces',
    successStatuses: [200],
    ranged: true,
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/upload?filename=${path(name)}&overwrite=true&total_size=${NEW.length}`,
      ...form('file', 'any', encodeChunk(0, NEW)),
    }),
  },
  {
    operation: 'POST /api/files/upload',
    how: 'without overwrite',
    kind: 'creates',
    successStatuses: [200],
    ranged: true,
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/upload?filename=${path(name)}&total_size=${NEW.length}`,
      headers: { 'content-type': 'application/octet-stream' },
      body: encodeChunk(0, NEW),
    }),
  },
  {
    operation: 'POST /api/files/upload',
    how: 'with overwrite, an empty file',
    kind: 'replaces',
    successStatuses: [200],
    ranged: true,
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/upload?filename=${path(name)}&overwrite=true&total_size=0`,
      headers: { 'content-type': 'application/octet-stream' },
    }),
  },
  {
    operation: 'DELETE /api/files/{filename}',
    kind: 'removes',
    successStatuses: [200],
    prepare: async (_server, name) => ({ method: 'DELETE', path: `/api/files/${path(name)}`, headers: {} }),
  },
  {
    operation: 'POST /api/files/complete/{filename}',
    kind: 'seals',
    successStatuses: [200],
    prepare: async (_server, name) => ({ method: 'POST', path: `/api/files/complete/${path(name)}`, headers: {} }),
  },
  {
    operation: 'PUT /api/files/content/{filename}',
    kind: 'replaces',
    successStatuses: [200, 201],
    prepare: async (_server, name) => ({
      method: 'PUT',
      path: `/api/files/content/${path(name)}`,
      headers: {},
      body: NEW,
    }),
  },
  {
    operation: 'PUT /api/files/content/{filename}',
    how: 'resumable',
    kind: 'replaces',
    successStatuses: [200, 201],
    prepare: async (_server, name) => ({
      method: 'PUT',
      path: `/api/files/content/${path(name)}`,
      headers: { 'upload-complete': '?1' },
      body: NEW,
    }),
  },
  {
    operation: 'POST /api/files/content/{filename}',
    kind: 'creates',
    successStatuses: [201],
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/content/${path(name)}`,
      headers: {},
      body: NEW,
    }),
  },
  {
    operation: 'POST /api/files/content/{filename}',
    how: 'resumable',
    kind: 'creates',
    successStatuses: [201],
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/content/${path(name)}`,
      headers: { 'upload-complete': '?1' },
      body: NEW,
    }),
  },
  ...['one shot', 'resumable'].map(
    (how): FileWrite => ({
      operation: 'POST /api/uploads',
      how,
      kind: 'creates',
      successStatuses: [201],
      takenStatus: 201,
      prepare: async (_server, name) => ({
        method: 'POST',
        path: '/api/uploads',
        headers: {
          'content-disposition': `attachment; filename="${name}"`,
          ...(how === 'resumable' ? { 'upload-complete': '?1' } : {}),
        },
        body: NEW,
      }),
    }),
  ),
  {
    operation: 'PATCH /api/uploads/{address}',
    kind: 'continues',
    successStatuses: [200],
    prepare: async (server, name) => ({
      method: 'PATCH',
      path: await begun(server, 'PUT', `/api/files/content/${path(name)}`, { 'upload-complete': '?0' }),
      headers: { 'content-type': PARTIAL, 'upload-offset': '0', 'upload-complete': '?1' },
      body: NEW,
    }),
  },
  {
    operation: 'DELETE /api/uploads/{address}',
    kind: 'continues',
    successStatuses: [204],
    prepare: async (server, name) => ({
      method: 'DELETE',
      path: await begun(server, 'PUT', `/api/files/content/${path(name)}`, { 'upload-complete': '?0' }),
      headers: {},
    }),
  },
  {
    operation: 'POST /files/',
    how: 'with overwrite',
    kind: 'replaces',
    successStatuses: [201],
    prepare: async (_server, name) => ({
      method: 'POST',
      path: '/files/',
      headers: { ...tusCreation(name, { overwrite: 'true' }), ...TUS_BYTES },
      body: NEW,
    }),
  },
  {
    operation: 'POST /files/',
    kind: 'creates',
    successStatuses: [201],
    takenStatus: 201,
    prepare: async (_server, name) => ({
      method: 'POST',
      path: '/files/',
      headers: { ...tusCreation(name), ...TUS_BYTES },
      body: NEW,
    }),
  },
  {
    operation: 'PATCH /files/{address}',
    kind: 'continues',
    successStatuses: [204],
    prepare: async (server, name) => ({
      method: 'PATCH',
      path: await begun(server, 'POST', '/files/', tusCreation(name, { overwrite: 'true' })),
      headers: { ...TUS_BYTES, 'upload-offset': '0' },
      body: NEW,
    }),
  },
  {
    operation: 'DELETE /files/{address}',
    kind: 'continues',
    successStatuses: [204],
    prepare: async (server, name) => ({
      method: 'DELETE',
      path: await begun(server, 'POST', '/files/', tusCreation(name, { overwrite: 'true' })),
      headers: TUS,
    }),
  },
  ...(
    [
      ['/v1/audio/file', 'file', 200],
      ['/api/upload', 'audio_file', 201],
      ['/ops/upload', 'request_file', 201],
    ] as const
  ).flatMap(([url, part, done]): FileWrite[] => [
    {
      operation: `POST ${url}`,
      how: 'with overwrite',
      kind: 'replaces',
      successStatuses: [done],
      ...(url === '/ops/upload' ? { as: opsAccount } : {}),
      prepare: async (_server, name) => ({ method: 'POST', path: `${url}?overwrite=true`, ...form(part, name, NEW) }),
    },
    {
      operation: `POST ${url}`,
      kind: 'creates',
      successStatuses: [done],
      ...(url === '/ops/upload' ? { as: opsAccount } : {}),
      takenStatus: url === '/ops/upload' ? 409 : done,
      prepare: async (_server, name) => ({ method: 'POST', path: url, ...form(part, name, NEW) }),
    },
  ]),
];

/** Sends a prepared request with more header fields. */
export async function sendPrepared(
  server: TestServer,
  write: FileWrite,
  { method, path: to, headers, body }: PreparedRequest,
  more: Fields = {},
): Promise<ResumableReply> {
  const request: ResumableRequest = { headers: { ...(await write.as?.(server)), ...headers, ...more } };
  if (body !== undefined) request.body = body;
  if (more['transfer-encoding'] !== undefined) request.chunked = true;
  return await ask(server, method, to, request);
}

/** Stores the old file: complete, or for `seals` open and of undeclared size. */
export async function putOldFile(server: TestServer, write: FileWrite, name: string): Promise<FileStatus> {
  const whole = { method: 'PUT', path: `/api/files/content/${path(name)}`, headers: {}, body: OLD };
  const chunk = {
    method: 'POST',
    path: `/api/files/upload?filename=${path(name)}`,
    headers: { 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, OLD),
  };
  const reply = await sendPrepared(server, write, write.kind === 'seals' ? chunk : whole);
  assert.ok(reply.status < 300, reply.body);
  return JSON.parse(reply.body) as FileStatus;
}

/** The status and entity tag of a file as text, to detect changes. */
export async function visibleState(server: TestServer, write: FileWrite, name: string): Promise<string> {
  const headers = {};
  const status = await sendPrepared(server, write, { method: 'GET', path: `/api/files/status/${path(name)}`, headers });
  const { expires_at: _expires, ...rest } = JSON.parse(status.body) as Record<string, unknown>;
  const download = await sendPrepared(server, write, {
    method: 'HEAD',
    path: `/api/files/download/${path(name)}`,
    headers,
  });
  return JSON.stringify([rest, download.status, download.headers.etag]);
}

/** The entity tag of the file; empty without one. */
export async function etagOf(server: TestServer, write: FileWrite, name: string): Promise<string> {
  const request = { method: 'HEAD', path: `/api/files/download/${path(name)}`, headers: {} };
  return (await sendPrepared(server, write, request)).headers.etag ?? '';
}
