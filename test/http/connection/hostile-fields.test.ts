/** Sends 31 KB that are designed to be slow to parse in every field that the server reads. No value costs 50 ms of processor time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer } from '../../support/product/server.ts';
import { repoRoot } from '../../support/root.ts';

const BYTES = 31_000;
const MAX_MS = 50;
/** Number of measurements. The minimum counts, because other processes add varying amounts. */
const TRIES = 5;

/** Texts to repeat, each after a prefix that leads a parser deeper. */
const PIECES = [
  ',',
  ';',
  '"',
  '\\',
  '=',
  ' ',
  '\t ',
  'a',
  '%',
  '1',
  '-',
  ':',
  '/',
  '.',
  '[',
  '(',
  'a=b,',
  'a=b; ',
  '"\\',
  'W/"a",',
  'for=",',
  '127.0.0.1, ',
  '0-0,',
  'a;q=',
  'é',
];
const BEGINNINGS = [''];
const BEGINNINGS_OF: Readonly<Record<string, readonly string[]>> = {
  authorization: ['Bearer ', 'Basic '],
  cookie: ['access_token=', 'refresh_token="'],
  'content-type': ['multipart/form-data; boundary=', 'text/plain; a="'],
  'content-disposition': ['attachment; filename="', "attachment; filename*=UTF-8''"],
  'content-range': ['bytes '],
  'content-digest': ['sha-256=:'],
  'repr-digest': ['sha-256=:'],
  'want-repr-digest': ['sha-256='],
  range: ['bytes='],
  'if-match': ['W/"', '"'],
  forwarded: ['for="[', 'for='],
  'x-forwarded-for': ['['],
  'x-forwarded-prefix': ['/'],
  'x-forwarded-host': ['['],
  origin: ['https://'],
  'upload-checksum': ['sha1 '],
  'upload-concat': ['final;', 'final; /files/'],
  'upload-metadata': ['filename '],
  'upload-complete': ['?1;'],
};

/** Request lines that reach the parsers of most fields. */
const LINES = ['GET /api/files/download/a', 'PUT /api/files/content/b'];
const LINES_OF: Readonly<Record<string, readonly string[]>> = {
  'upload-': ['POST /files/'],
  'x-forwarded-': ['GET /.well-known/oauth-authorization-server'],
  forwarded: ['GET /.well-known/oauth-authorization-server'],
  'content-': ['POST /api/files/upload?filename=c', 'POST /api/uploads'],
  'accept-encoding': ['GET /openapi.json'],
  accept: ['GET /api/files/status/a'],
  authorization: ['POST /api/oauth/token'],
  cookie: ['POST /v1/auth/refresh'],
  origin: ['POST /v1/auth/login', 'OPTIONS /api/clients'],
  host: ['GET /.well-known/oauth-authorization-server'],
};

/** The field names that the source code reads. */
async function fieldsOf(): Promise<string[]> {
  const folder = join(repoRoot(), 'src/http');
  const names = new Set([
    'host',
    'cookie',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
    'x-forwarded-prefix',
  ]);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const text = await readFile(join(entry.parentPath, entry.name), 'utf8');
    for (const [, quoted, dotted] of text.matchAll(/headers(?:\??\.)?\['([a-z-]+)'\]|headers\??\.([a-z]+)\b(?!\()/g)) {
      names.add(quoted ?? dotted ?? '');
    }
    // Destructured: `const { range, 'if-range': ifRange } = request.headers`.
    for (const [, list = ''] of text.matchAll(/\{([^{}]*)\} = (?:\w+\.)*headers;/g)) {
      for (const [, name = ''] of list.matchAll(/(?:^|,)\s*'?([a-z-]+)'?/g)) names.add(name);
    }
  }
  // Fields that node reads before it creates the request.
  for (const name of ['', 'content-length', 'transfer-encoding', 'get', 'set', 'entries']) names.delete(name);
  return [...names].sort();
}

test('no value of a field costs more than 50 ms of processor time', async (t) => {
  const rates = { LADING_RATE_ADDRESS: '0', LADING_RATE_TOKEN: '0', LADING_RATE_PRINCIPAL: '0' };
  const proxies = { LADING_TRUST_PROXY: 'loopback', LADING_ALLOWED_ORIGINS: 'https://a.example' };
  const { port, origin, client } = await startServer(t, { ...rates, ...proxies });
  const upload = `${origin}/api/files/upload?filename=a&total_size=3`;
  const octets = { ...client.headers, 'content-type': 'application/octet-stream' };
  const body = encodeChunk(0, Buffer.from('abc'));
  assert.equal((await fetch(upload, { method: 'POST', headers: octets, body })).status, 200);

  /** Milliseconds of the whole process, client included. */
  const cost = async (line: string, field: string, value: string): Promise<number> => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const fields = new Map([
      ['host', 'a.example'],
      ['authorization', client.headers.authorization],
      ...(line.startsWith('P') ? [['content-length', '0'] as const] : []),
      ...(line.includes(' /files/') ? [['tus-resumable', '1.0.0'] as const] : []),
      [field, value],
      ['connection', 'close'],
    ]);
    const head = [...fields].map(([name, text]) => `${name}: ${text}\r\n`).join('');
    const before = process.cpuUsage();
    socket.end(Buffer.from(`${line} HTTP/1.1\r\n${head}\r\n`, 'latin1'));
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'close');
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };

  const fields = await fieldsOf();
  assert.ok(fields.length >= 40, fields.join());
  for (const field of fields) {
    const more = Object.entries(LINES_OF).flatMap(([start, lines]) => (field.startsWith(start) ? lines : []));
    for (const beginning of [...BEGINNINGS, ...(BEGINNINGS_OF[field] ?? [])]) {
      for (const [turn, piece] of PIECES.entries()) {
        const count = Math.floor((BYTES - beginning.length) / Buffer.byteLength(piece, 'latin1'));
        const value = beginning + piece.repeat(count);
        // Parsers of this field get every text, the others take turns.
        for (const line of more.length > 0 ? more : LINES.slice(turn % 2).slice(0, 1)) {
          let least = Number.POSITIVE_INFINITY;
          for (let tries = 0; tries < TRIES && least >= MAX_MS; tries += 1) {
            least = Math.min(least, await cost(line, field, value));
          }
          assert.ok(least < MAX_MS, `${field}: ${value.slice(0, 40)}… costs ${least} ms at ${line}`);
        }
      }
    }
  }
});
