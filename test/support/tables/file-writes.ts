/** Every way in which a request writes or removes a file: a row for each, for tests that try the same things at all of them. */
import assert from 'node:assert/strict';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { encodeTrainChunk, TRAIN_TYPE } from '../../../src/protocol/train.ts';
import { wav } from '../audio.ts';
import { PASSWORD } from '../product/people.ts';
import type { TestServer } from '../product/server.ts';
import { ask, type Fields, PARTIAL, type ResumableReply, type ResumableRequest } from '../wire/resumable.ts';

/** A request that is ready to be sent. */
export interface PreparedRequest {
  method: string;
  path: string;
  headers: Fields;
  body?: Uint8Array;
}

export interface FileWrite {
  /** As the OpenAPI document has it. Doors of one operation differ in `how`. */
  operation: string;
  how?: string;
  /**
   * `replaces`: what is there, as it was asked to; `creates`: never what is there; `removes`: the file; `continues`: with an upload that is to
   * replace the file; `seals`: an upload of undeclared size.
   */
  kind: 'replaces' | 'creates' | 'removes' | 'continues' | 'seals';
  /** Statuses of a success. */
  successStatuses: number[];
  /** What a name in use is answered with; by default 409. */
  takenStatus?: number;
  /** Fields of a principal that may use it, if that is not the ordinary client. */
  as?(server: TestServer): Promise<Fields>;
  /** `Content-Range` is its own business. */
  ranged?: boolean;
  /** The request that does it to the file of this name. Makes first what it needs besides the file. */
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

/** An ops account, made once a server, which must have `LADING_REGISTRATION=open`. */
function opsAccount(server: TestServer): Promise<Fields> {
  const known = accounts.get(server) ?? signUp(server);
  accounts.set(server, known);
  return known;
}

async function signUp(server: TestServer): Promise<Fields> {
  const body = JSON.stringify({ username: 'doorkeeper', password: PASSWORD });
  const asked = { headers: { 'content-type': 'application/json' }, body };
  const made = await ask(server, 'POST', '/ops/signup', asked);
  assert.equal(made.status, 201, made.body);
  const reply = await ask(server, 'POST', '/ops/login', asked);
  assert.equal(reply.status, 200);
  return { authorization: `Bearer ${reply.body}` };
}

/** The path of an upload that was begun and has got no byte. */
async function begun(server: TestServer, method: string, to: string, headers: Fields): Promise<string> {
  const heard = await ask(server, method, to, { headers });
  assert.equal(heard.status, 201, heard.body);
  return new URL(heard.headers.location ?? '', server.origin).pathname;
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

/** Sends what was prepared, with more header fields. */
export async function sendPrepared(
  server: TestServer,
  write: FileWrite,
  { method, path: to, headers, body }: PreparedRequest,
  more: Fields = {},
): Promise<ResumableReply> {
  const asked: ResumableRequest = { headers: { ...(await write.as?.(server)), ...headers, ...more } };
  if (body !== undefined) asked.body = body;
  if (more['transfer-encoding'] !== undefined) asked.chunked = true;
  return await ask(server, method, to, asked);
}

/** Puts the old file there, sealed; for `seals` of undeclared size and open. */
export async function putOldFile(server: TestServer, write: FileWrite, name: string): Promise<FileStatus> {
  const whole = { method: 'PUT', path: `/api/files/content/${path(name)}`, headers: {}, body: OLD };
  const chunk = {
    method: 'POST',
    path: `/api/files/upload?filename=${path(name)}`,
    headers: { 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, OLD),
  };
  const heard = await sendPrepared(server, write, write.kind === 'seals' ? chunk : whole);
  assert.ok(heard.status < 300, heard.body);
  return JSON.parse(heard.body) as FileStatus;
}

/** What another request sees of the file of this name, and of an upload of its name. */
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
  const asked = { method: 'HEAD', path: `/api/files/download/${path(name)}`, headers: {} };
  return (await sendPrepared(server, write, asked)).headers.etag ?? '';
}
