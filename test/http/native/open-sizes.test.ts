/**
 * An open upload of one protocol and requests of all others for its name: no request declares its size, adds bytes to it or ends it, except
 * those that explicitly replace or delete the name. Every operation has a row (`file-writes.ts`), and so has every way in which a chunk declares
 * a size.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { FILE_WRITES, type FileWrite, form, NEW, sendPrepared } from '../../support/tables/file-writes.ts';
import {
  append,
  ask,
  content,
  type Fields,
  PARTIAL,
  type ResumableReply,
  type ResumableRequest,
} from '../../support/wire/resumable.ts';

const TUS: Fields = { 'tus-resumable': '1.0.0' };
const TUS_BYTES: Fields = { ...TUS, 'content-type': 'application/offset+octet-stream' };
const BYTES: Fields = { 'content-type': 'application/octet-stream' };
const MINE = Buffer.from('what this upload is to be');

const path = (name: string): string => encodeURIComponent(name);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const place = ({ headers }: ResumableReply): string => headers.location ?? '';

/** An upload with no bytes or three, and how it continues. */
interface Opener {
  protocol: 'chunks' | 'tus' | 'resumable';
  open(server: TestServer, name: string, bytes: number): Promise<string>;
  /** The size and the offset that the server reports; null if the upload does not exist. */
  state(server: TestServer, at: string): Promise<string | null>;
  finish(server: TestServer, at: string, offset: number): Promise<ResumableReply>;
}

async function made(asked: Promise<ResumableReply>): Promise<string> {
  const heard = await asked;
  assert.equal(heard.status, 201, heard.body);
  return place(heard);
}

const tus = (size: Fields): Opener => ({
  protocol: 'tus',
  open: async (server, name, bytes) => {
    const metadata = `filename ${base64(name)},overwrite ${base64('true')}`;
    const headers = { ...TUS_BYTES, ...size, 'upload-metadata': metadata };
    return await made(ask(server, 'POST', '/files/', { headers, body: MINE.subarray(0, bytes) }));
  },
  state: async (server, at) => {
    const { status, headers } = await ask(server, 'HEAD', at, { headers: TUS });
    return status === 404 ? null : JSON.stringify([headers['upload-offset'], headers['upload-length'] ?? null]);
  },
  finish: (server, at, offset) =>
    ask(server, 'PATCH', at, {
      headers: { ...TUS_BYTES, 'upload-offset': String(offset), 'upload-length': String(MINE.length) },
      body: MINE.subarray(offset),
    }),
});

const resumable = (size: Fields): Opener => ({
  protocol: 'resumable',
  open: async (server, name, bytes) => {
    const asked: ResumableRequest = { headers: { 'upload-complete': '?0', ...size }, body: MINE.subarray(0, bytes) };
    return await made(ask(server, 'PUT', `/api/files/content/${path(name)}`, asked));
  },
  state: async (server, at) => {
    const { status, headers } = await ask(server, 'HEAD', at);
    return status === 404 ? null : JSON.stringify([headers['upload-offset'], headers['upload-length'] ?? null]);
  },
  finish: (server, at, offset) => append(server, at, offset, MINE.subarray(offset), '?1'),
});

/** Its first bytes arrive last, so that it does not appear complete. */
const chunks: Opener = {
  protocol: 'chunks',
  open: async (server, name, bytes) => {
    const body = encodeChunk(MINE.length - Math.max(bytes, 1), MINE.subarray(-Math.max(bytes, 1)));
    const to = `/api/files/upload?filename=${path(name)}`;
    const heard = await ask(server, 'POST', to, { headers: BYTES, body });
    assert.equal(heard.status, 200, heard.body);
    return (JSON.parse(heard.body) as { id: string }).id + to;
  },
  state: async (server, at) => {
    const [id, to] = [at.slice(0, 32), at.slice(32)];
    const heard = await ask(server, 'GET', to.replace('upload?filename=', 'status/'));
    const status = JSON.parse(heard.body) as Record<string, unknown>;
    return status.id === id ? JSON.stringify([status.bytes_received, status.undeclared, status.total_bytes]) : null;
  },
  finish: (server, at) => ask(server, 'POST', at.slice(32), { headers: BYTES, body: encodeChunk(0, MINE) }),
};

const OPENERS: Record<string, Opener> = {
  'tus, deferred length': tus({ 'upload-defer-length': '1' }),
  'tus, known length': tus({ 'upload-length': String(MINE.length) }),
  'resumable without a length': resumable({}),
  'resumable with a length': resumable({ 'upload-length': String(MINE.length) }),
  'chunks of undeclared size': chunks,
};

/** One row for every way in which a chunk declares a size or only has bytes. */
function chunkWrite(how: string, query: string, headers: Fields, body: Uint8Array): FileWrite {
  return {
    operation: 'POST /api/files/upload',
    how,
    kind: 'creates',
    successStatuses: [200],
    prepare: async (_server, name) => ({
      method: 'POST',
      path: `/api/files/upload?filename=${path(name)}${query}`,
      headers: { ...BYTES, ...headers },
      body,
    }),
  };
}

const EMPTY = new Uint8Array();
const FIVE = Buffer.from('other');
const asForm = form('file', 'any', encodeChunk(0, FIVE));
const SIZES: FileWrite[] = [
  chunkWrite('an empty file', '&total_size=0', {}, EMPTY),
  chunkWrite('an empty file, overwritten', '&total_size=0&overwrite=true', {}, EMPTY),
  chunkWrite('total_size', '&total_size=5', {}, encodeChunk(0, FIVE)),
  chunkWrite('total_size of the upload', `&total_size=${MINE.length}`, {}, encodeChunk(0, FIVE)),
  chunkWrite('Content-Range', '', { 'content-range': 'bytes 0-4/5' }, encodeChunk(0, FIVE)),
  chunkWrite('no size', '', {}, encodeChunk(0, FIVE)),
  chunkWrite('no size, far behind', '', {}, encodeChunk(1_000, FIVE)),
  chunkWrite('no size, equal bytes', '', {}, encodeChunk(0, MINE.subarray(0, 3))),
  chunkWrite('a form', '&total_size=5', asForm.headers, asForm.body ?? EMPTY),
  chunkWrite('a digest of the whole', '', { 'repr-digest': `sha-256=:${'A'.repeat(43)}=:` }, encodeChunk(0, FIVE)),
];

const protocolOf = ({ operation }: FileWrite): Opener['protocol'] | null => {
  if (operation === 'POST /api/files/upload' || operation.includes('/api/files/complete')) return 'chunks';
  return null;
};

for (const [what, opener] of Object.entries(OPENERS)) {
  for (const bytes of [0, 3]) {
    test(`${what}, ${bytes} bytes: requests for other uploads do not fix its size`, async (t) => {
      const server = await startServer(t);
      const writes = [...FILE_WRITES, ...SIZES].filter(({ as }) => as === undefined);
      for (const [number, write] of writes.entries()) {
        if (protocolOf(write) === opener.protocol && !write.operation.includes('complete')) continue;
        const name = `f${number}.wav`;
        const shown = `${write.operation}, ${write.how}`;
        const at = await opener.open(server, name, bytes);
        const before = await opener.state(server, at);
        const heard = await sendPrepared(server, write, await write.prepare(server, name));
        const after = await opener.state(server, at);
        if (after === null) {
          const says = write.kind === 'replaces' || write.kind === 'removes' || write.kind === 'continues';
          assert.ok(says && heard.status < 300, `${shown}: ${heard.status} ${heard.body}`);
          continue;
        }
        assert.equal(after, before, `${shown}: ${heard.status} ${heard.body}`);
        if (protocolOf(write) === 'chunks') assert.equal(heard.status, 409, `${shown}: ${heard.body}`);
        if (opener.protocol === 'chunks' && heard.status < 300 && write.kind !== 'creates') continue;
        const done = await opener.finish(server, at, bytes);
        assert.ok(done.status < 300, `${shown}, then ${done.status} ${done.body}`);
        assert.ok((await content(server, name)).equals(MINE), shown);
      }
    });
  }
}

test('each protocol answers 404 for upload addresses of the other', async (t) => {
  const server = await startServer(t);
  const own = { tus: OPENERS['tus, deferred length'], resumable: OPENERS['resumable without a length'] };
  for (const [protocol, opener] of Object.entries(own)) {
    assert.ok(opener);
    const at = await opener.open(server, `${protocol}.bin`, 3);
    const before = await opener.state(server, at);
    const id = at.split('/').at(-1) ?? '';
    const foreign = protocol === 'tus' ? `/api/uploads/${id}` : `/files/${id}`;
    const speaks: Fields = protocol === 'tus' ? {} : TUS;
    const sent: Fields =
      protocol === 'tus'
        ? { 'content-type': PARTIAL, 'upload-offset': '3', 'upload-complete': '?1' }
        : { ...TUS_BYTES, 'upload-offset': '3', 'upload-length': '5' };
    for (const [method, asked] of [
      ['HEAD', { headers: speaks }],
      ['PATCH', { headers: sent, body: 'xy' }],
      ['DELETE', { headers: speaks }],
    ] as [string, ResumableRequest][]) {
      const { status } = await ask(server, method, foreign, asked);
      assert.equal(status, 404, `${method} ${foreign}`);
    }
    assert.equal(await opener.state(server, at), before);
    const done = await opener.finish(server, at, 3);
    assert.ok(done.status < 300, done.body);
    assert.ok((await content(server, `${protocol}.bin`)).equals(MINE));
  }
});

test('a repeated chunk of a complete file is a duplicate while another protocol replaces the file', async (t) => {
  const server = await startServer(t);
  for (const opener of Object.values(OPENERS).filter(({ protocol }) => protocol !== 'chunks')) {
    const upload = (query: string, body: Uint8Array) =>
      ask(server, 'POST', `/api/files/upload?filename=late${query}`, { headers: BYTES, body });
    assert.equal((await upload('&total_size=5', encodeChunk(0, FIVE))).status, 200);
    const at = await opener.open(server, 'late', 3);
    const before = await opener.state(server, at);
    for (const query of ['&total_size=5', '']) {
      const again = await upload(query, encodeChunk(0, FIVE));
      assert.equal(again.status, 200, again.body);
      assert.equal((JSON.parse(again.body) as { chunk: { duplicate: boolean } }).chunk.duplicate, true);
    }
    for (const [query, body] of [
      ['', encodeChunk(0, NEW)],
      ['&total_size=9', encodeChunk(0, FIVE)],
      ['&total_size=5&overwrite=true', encodeChunk(0, FIVE)],
    ] as const) {
      assert.equal((await upload(query, body)).status, 409);
    }
    assert.equal(await opener.state(server, at), before);
    assert.ok((await opener.finish(server, at, 3)).status < 300);
    assert.ok((await content(server, 'late')).equals(MINE));
    assert.equal((await ask(server, 'DELETE', '/api/files/late')).status, 200);
  }
});
