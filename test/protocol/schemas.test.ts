import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import { CATALOGUE } from '../../src/errors.ts';
import * as schemas from '../../src/protocol/schemas/files.ts';
import * as clientSchemas from '../../src/protocol/schemas/identity/client.ts';
import { TokenRequest } from '../../src/protocol/schemas/identity/sign-in.ts';
import { Problem } from '../../src/protocol/schemas/problem.ts';

const pending: schemas.FileStatus = {
  filename: 'a/é.bin',
  status: 'pending',
  bytes_received: 0,
  total_bytes: null,
  next_expected_byte: 0,
  id: null,
  readable: false,
  missing: [],
  missing_more: false,
  crc32: null,
  etag: null,
  content_type: null,
  created_at: null,
  updated_at: null,
  completed_at: null,
  expires_at: null,
};

const partial: schemas.FileStatus = {
  filename: 'a/é.bin',
  status: 'partial',
  bytes_received: 2 ** 53 - 11,
  total_bytes: 2 ** 53 - 1,
  next_expected_byte: 5,
  id: '01J',
  readable: true,
  missing: [
    [5, 9],
    [2 ** 53 - 7, 2 ** 53 - 2],
  ],
  missing_more: true,
  chunk: { start: 0, end: 4, crc32: '00c0ffee', duplicate: false },
  crc32: null,
  etag: '"01J-5-00c0ffee"',
  content_type: 'text/plain; charset=utf-8',
  created_at: '2026-11-22T10:00:00.000Z',
  updated_at: '2026-11-22T10:00:01.000Z',
  completed_at: null,
  expires_at: '2026-11-23T10:00:01.000Z',
};

const problem: Problem = {
  type: 'about:blank',
  title: 'Not contiguous',
  status: 409,
  detail: 'Send what is missing.',
  code: 'not_contiguous',
  missing: [[0, 4]],
  missing_more: false,
  expected: 'abc',
  actual: 5,
  retry_after: 1,
  total_bytes: 10,
};

/** The reply of a route with this reply schema. */
async function written(schema: object, value: unknown): Promise<string> {
  const app = Fastify();
  app.get('/', { schema: { response: { 200: schema } } }, async (_request, reply) => reply.send(value));
  const { payload } = await app.inject('/');
  await app.close();
  return payload;
}

test('a status object has its keys in the order of the protocol, then the deliveries', () => {
  const keys = Object.keys(schemas.FileStatus.properties);
  const first = ['filename', 'status', 'bytes_received', 'total_bytes', 'next_expected_byte', 'id', 'readable'];
  const then = ['missing', 'missing_more', 'chunk', 'committed_chunks', 'crc32', 'etag', 'content_type'];
  const last = [
    'created_at',
    'updated_at',
    'completed_at',
    'expires_at',
    'damaged',
    'stale',
    'undeclared',
    'deliveries',
  ];
  assert.deepEqual(keys, [...first, ...then, ...last]);
  assert.deepEqual(
    keys.filter((key) => !schemas.FileStatus.required.some((required) => required === key)),
    ['chunk', 'committed_chunks', 'damaged', 'stale', 'undeclared', 'deliveries'],
  );
});

test('replies contain nulls, pairs and large numbers unchanged', async () => {
  assert.equal(await written(schemas.FileStatus, pending), JSON.stringify(pending));
  // The serializer writes optional members last. The order has no meaning in JSON.
  const status = await written(schemas.FileStatus, partial);
  assert.deepEqual(JSON.parse(status), partial);
  assert.deepEqual(Object.keys(JSON.parse(status)).slice(0, 5), Object.keys(partial).slice(0, 5));
  const list: schemas.FileList = { files: [pending, pending], next_cursor: null };
  assert.equal(await written(schemas.FileList, list), JSON.stringify(list));
  assert.equal(
    await written(schemas.FileList, { ...list, next_cursor: 'x' }),
    JSON.stringify({ ...list, next_cursor: 'x' }),
  );
  assert.equal(await written(Problem, problem), JSON.stringify(problem));
  const client: clientSchemas.Client = {
    client_id: 'c',
    role: 'client',
    created_at: pending.filename,
    last_used: null,
    name: null,
  };
  const clients: clientSchemas.ClientList = { clients: [client], count: 1 };
  assert.equal(await written(clientSchemas.ClientList, clients), JSON.stringify(clients));
});

test('members that a schema does not name are not sent', async () => {
  const document = { client_id: 'c', role: 'admin', created_at: 't', last_used: null, name: null };
  assert.deepEqual(JSON.parse(await written(clientSchemas.Client, { ...document, secretHash: 'x' })), document);
});

test('the problem schema has every code of the catalogue', () => {
  const { code } = JSON.parse(JSON.stringify(Problem.properties));
  assert.deepEqual(code.enum, Object.keys(CATALOGUE));
});

test('valid query parameters are converted, and invalid ones are refused', async () => {
  const app = Fastify();
  app.get('/upload', { schema: { querystring: schemas.UploadQuery } }, async (request) => request.query);
  app.get('/list', { schema: { querystring: schemas.ListQuery } }, async (request) => request.query);
  app.get('/download', { schema: { querystring: schemas.DownloadQuery } }, async (request) => request.query);
  const valid: [string, object][] = [
    ['/upload?filename=a%2Fb', { filename: 'a/b' }],
    ['/upload?filename=', { filename: '' }],
    ['/upload?filename=a&total_size=0&overwrite=true', { filename: 'a', total_size: 0, overwrite: true }],
    ['/upload?filename=a&total_size=9007199254740991', { filename: 'a', total_size: 2 ** 53 - 1 }],
    ['/upload?filename=a&content_type=text%2Fplain', { filename: 'a', content_type: 'text/plain' }],
    ['/list', {}],
    ['/list?limit=1000&status=partial&prefix=a', { limit: 1000, status: 'partial', prefix: 'a' }],
    ['/download?follow=true&owner=c', { follow: true, owner: 'c' }],
  ];
  for (const [url, query] of valid) {
    const reply = await app.inject(url);
    assert.equal(reply.statusCode, 200, url);
    assert.deepEqual(reply.json(), query, url);
  }
  const invalid = [
    '/upload',
    '/upload?filename=a&filename=b',
    '/upload?filename=a&total_size=-1',
    '/upload?filename=a&total_size=1.5',
    '/upload?filename=a&total_size=',
    '/upload?filename=a&total_size=ten',
    '/upload?filename=a&total_size=9007199254740992',
    '/upload?filename=a&total_size=99999999999999999999',
    '/upload?filename=a&overwrite=perhaps',
    '/list?limit=0',
    '/list?limit=1001',
    '/list?status=done',
    '/download?follow=2',
  ];
  for (const url of invalid) assert.equal((await app.inject(url)).statusCode, 400, url);
  await app.close();
});

test('the bodies of a token request and of a new client are validated', async () => {
  const app = Fastify();
  app.post('/token', { schema: { body: TokenRequest } }, async () => 'ok');
  app.post('/client', { schema: { body: clientSchemas.NewClient } }, async () => 'ok');
  const status = async (url: string, payload: object) =>
    (await app.inject({ method: 'POST', url, payload })).statusCode;
  assert.equal(await status('/token', { username: 'a', password: 'b' }), 200);
  assert.equal(await status('/token', { username: 'a', password: 'b', grant_type: 'password', scope: 'x' }), 200);
  assert.equal(await status('/token', { username: 'a' }), 400);
  assert.equal(await status('/token', { username: 'a', password: 'b', grant_type: 'client_credentials' }), 400);
  assert.equal(await status('/client', { role: 'admin' }), 200);
  assert.equal(await status('/client', { role: 'client', name: 'pump 7' }), 200);
  assert.equal(await status('/client', { role: 'root' }), 200);
  assert.equal(await status('/client', { role: 'king' }), 400);
  assert.equal(await status('/client', {}), 400);
  assert.equal(await status('/client', { role: 'client', name: 'x'.repeat(201) }), 400);
  await app.close();
});

test('every object schema has a title, and every member of the status object a description', () => {
  for (const [name, schema] of Object.entries(schemas)) {
    const { type, title } = JSON.parse(JSON.stringify(schema));
    if (type === 'object') assert.equal(title, name);
  }
  for (const [key, schema] of Object.entries(schemas.FileStatus.properties)) {
    assert.ok(JSON.parse(JSON.stringify(schema)).description, key);
  }
});
