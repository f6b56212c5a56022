import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CATALOGUE } from '../../../src/errors.ts';
import { PRECONDITIONS } from '../../../src/http/request/preconditions.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer } from '../../support/product/server.ts';
import { DOORS } from '../../support/tables/doors.ts';
import { OPEN_QUERIES } from '../../support/tables/open-queries.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

test('health, the document and its page are open', async (t) => {
  const { origin } = await startServer(t);
  for (const path of ['/health', '/api/health', '/ready']) {
    const reply = await fetch(`${origin}${path}`);
    assert.equal(reply.status, 200);
    assert.deepEqual(await reply.json(), { status: 'healthy' });
    assert.equal((await fetch(`${origin}${path}`, { method: 'HEAD' })).status, 200);
  }
  const page = await fetch(`${origin}/docs`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /swagger-ui/);
});

interface Described {
  description: string;
  schema: Record<string, unknown>;
}

interface Reply {
  description: string;
  content?: Record<string, { schema: Record<string, unknown> }>;
  headers: Record<string, Described>;
}

interface Operation {
  responses: Record<string, Reply>;
  'x-error-codes'?: Record<string, string[]>;
  requestBody?: { content: Record<string, unknown> };
  parameters?: (Described & { name: string; in: string; required?: boolean; example?: unknown })[];
  security?: unknown[];
}

interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, unknown>;
    responses: Record<string, Reply>;
    headers: Record<string, Described>;
  };
}

/** The document, with the shared replies in their places. */
async function documentOf(t: TestContext): Promise<Document> {
  const { origin } = await startServer(t);
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as Document;
  for (const operation of Object.values(document.paths).flatMap((item) => Object.values(item))) {
    for (const [status, reply] of Object.entries(operation.responses)) {
      const name = (reply as { $ref?: string }).$ref?.split('/').at(-1);
      const shared = name === undefined ? reply : document.components.responses[name];
      assert.ok(shared, `${status}: ${name} is nowhere`);
      operation.responses[status] = shared;
    }
  }
  return document;
}

test('the OpenAPI document has every route with its parameters, bodies and replies', async (t) => {
  const { origin } = await startServer(t);
  const reply = await fetch(`${origin}/openapi.json`);
  assert.match(reply.headers.get('content-type') ?? '', /^application\/json/);
  const document = (await reply.json()) as Document;
  assert.match(document.openapi, /^3\.1/);
  const { paths, components } = document;
  const expected: Record<string, string[]> = {
    '/auth/token': ['post'],
    '/api/oauth/token': ['post'],
    '/api/oauth/revoke': ['post'],
    '/api/oauth/introspect': ['post'],
    '/api/token/verify': ['get'],
    '/.well-known/oauth-authorization-server': ['get'],
    '/.well-known/oauth-protected-resource': ['get'],
    '/.well-known/jwks.json': ['get'],
    '/api/files/upload': ['post'],
    '/api/files/status/{filename}': ['get'],
    '/api/files/download/{filename}': ['get', 'head'],
    '/api/files/complete/{filename}': ['post'],
    '/api/files/verify/{filename}': ['post'],
    '/api/files': ['get'],
    '/api/files/{filename}': ['delete'],
    '/api/protected': ['get'],
    '/api/tokens': ['get', 'post'],
    '/api/tokens/{token_id}': ['delete'],
    '/api/tokens/{token_id}/rotate': ['post'],
    '/api/tenants': ['get', 'post'],
    '/api/tenants/{tenant_id}': ['delete'],
    '/api/clients': ['get', 'post'],
    '/api/clients/{client_id}': ['put', 'delete'],
    '/api/sweep': ['post'],
    '/api/audit': ['get'],
    '/api/events': ['get'],
    '/calls/otp': ['post'],
    '/calls/verify': ['post'],
    '/calls/otp/verify': ['post'],
    '/calls/replay': ['post'],
    '/calls/otp/replay': ['post'],
    '/calls/otp/status/{phone}': ['get'],
    '/calls/provider/{session_id}': ['post'],
    '/api/phones/{kind}/{id}': ['get', 'put'],
    '/api/deliveries': ['get'],
    '/api/deliveries/{id}/retry': ['post'],
    '/api/deliveries/targets': ['get', 'post'],
    '/api/deliveries/targets/{target_id}': ['delete', 'patch'],
    '/api/quotas/me': ['get'],
    '/api/quotas/{kind}/{id}': ['get', 'put'],
    '/v1/auth/registration': ['post'],
    '/v1/auth/login': ['post'],
    '/v1/auth/refresh': ['post'],
    '/v1/auth/logout': ['post'],
    '/v1/auth/providers': ['get'],
    '/v1/auth/oidc/login': ['get', 'post'],
    '/v1/auth/oidc/callback': ['get'],
    '/v1/auth/yandex/login': ['get', 'post'],
    '/v1/auth/yandex/callback': ['get'],
    '/v1/auth/me': ['get', 'put'],
    '/v1/user': ['get', 'post'],
    '/v1/user/get_user': ['post'],
    '/v1/user/update_user': ['put'],
    '/v1/user/delete_user': ['delete'],
    '/api/config': ['get'],
    '/api/health': ['get'],
    '/health': ['get'],
    '/ready': ['get'],
    '/metrics': ['get'],
  };
  for (const [path, methods] of Object.entries(expected)) {
    for (const method of methods)
      assert.ok(paths[path]?.[method], `${method} ${path} is missing in ${Object.keys(paths)}`);
  }
  const upload = paths['/api/files/upload']?.post;
  assert.deepEqual(Object.keys(upload?.requestBody?.content ?? {}).sort(), [
    'application/octet-stream',
    'multipart/form-data',
  ]);
  assert.ok(upload?.parameters?.some(({ name, required }) => name === 'filename' && required === true));
  const { $ref } = (upload?.responses['409'] ?? {}) as { $ref?: string };
  assert.equal($ref, '#/components/responses/Conflict');
  assert.deepEqual(Object.keys(components.responses.Conflict?.content ?? {}), ['application/problem+json']);
  assert.deepEqual(Object.keys(paths['/auth/token']?.post?.requestBody?.content ?? {}), [
    'application/x-www-form-urlencoded',
  ]);
  const status = paths['/api/files/status/{filename}']?.get;
  assert.ok(status?.parameters?.some(({ name, in: where }) => name === 'filename' && where === 'path'));
  assert.ok(status?.responses['200']?.content?.['text/event-stream'], 'the stream of events is described');
});

/** Fields of requests, statuses, and the fields of the success besides X-Request-Id, as the document has them. */
const CONDITIONS = ['If-Match', 'If-Modified-Since', 'If-None-Match', 'If-Unmodified-Since'];
const WANTED = ['Want-Content-Digest', 'Want-Repr-Digest'];
const FILE_FIELDS = [
  'Accept-Ranges',
  'Cache-Control',
  'Content-Digest',
  'Content-Disposition',
  'Content-Length',
  'ETag',
];
const STATE = ['Upload-Complete', 'Upload-Length', 'Upload-Limit', 'Upload-Offset'];
const CREATION = [
  'Content-Digest',
  'Repr-Digest',
  'Upload-Complete',
  'Upload-Draft-Interop-Version',
  'Upload-Length',
  'Want-Repr-Digest',
];
const TAGS = ['If-Match', 'If-None-Match'];
const KEPT = ['Cache-Control', 'ETag'];
const OPERATIONS: [method: string, path: string, request: string[], statuses: string, reply: string[]][] = [
  ['post', '/auth/token', [], '200 400 401 408 413 415 422 429 431 500 503', ['Cache-Control']],
  ['post', '/api/oauth/token', [], '200 400 401 408 413 415 429 431 500 503 507', ['Cache-Control']],
  ['post', '/api/oauth/revoke', [], '200 400 401 408 413 415 429 431 500 503 507', ['Cache-Control']],
  ['post', '/api/oauth/introspect', [], '200 400 401 408 413 415 429 431 500 503', ['Cache-Control']],
  ['get', '/api/token/verify', [], '200 400 401 408 431 500 503', ['Cache-Control']],
  ['get', '/.well-known/oauth-authorization-server', TAGS, '200 304 400 408 412 431 500', KEPT],
  ['get', '/.well-known/oauth-protected-resource', TAGS, '200 304 400 408 412 431 500', KEPT],
  ['get', '/.well-known/jwks.json', TAGS, '200 304 400 408 412 431 500', KEPT],
  [
    'post',
    '/api/files/upload',
    ['Content-Digest', 'Content-Range', 'Repr-Digest', 'X-Chunk-CRC32'],
    '200 400 401 403 404 408 409 413 415 422 431 500 503 507',
    [],
  ],
  ['get', '/v1/auth/providers', [], '200 400 408 431 500', []],
  ['get', '/v1/auth/oidc/login', [], '302 400 401 403 404 408 431 500 503', ['Cache-Control', 'Set-Cookie']],
  ['get', '/v1/auth/yandex/login', [], '302 400 401 403 404 408 431 500 503', ['Cache-Control', 'Set-Cookie']],
  ['post', '/v1/auth/oidc/login', [], '200 303 400 401 403 404 408 431 500 503', ['Cache-Control', 'Set-Cookie']],
  ['post', '/v1/auth/yandex/login', [], '200 303 400 401 403 404 408 431 500 503', ['Cache-Control', 'Set-Cookie']],
  ...['oidc', 'yandex'].map((name): (typeof OPERATIONS)[number] => [
    'get',
    `/v1/auth/${name}/callback`,
    [],
    '200 302 400 401 403 404 408 409 431 500 503 507',
    ['Cache-Control', 'Set-Cookie'],
  ]),
  ['get', '/api/files/status/{filename}', ['Last-Event-ID'], '200 204 400 401 403 408 431 500 503', ['Cache-Control']],
  [
    'get',
    '/api/files/download/{filename}',
    [...CONDITIONS, 'If-Range', 'Range', ...WANTED],
    '200 206 304 400 401 403 404 408 412 416 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  [
    'head',
    '/api/files/download/{filename}',
    [...CONDITIONS, ...WANTED],
    '200 304 400 401 403 404 408 412 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  ['post', '/api/files/complete/{filename}', [], '200 400 401 403 404 408 409 431 500 503 507', []],
  ['post', '/api/files/verify/{filename}', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['get', '/api/transfers', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['get', '/api/history', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['get', '/api/files', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['delete', '/api/files/{filename}', [], '200 400 401 403 404 408 431 500 503 507', []],
  [
    'post',
    '/files/',
    ['Tus-Resumable', 'Upload-Checksum', 'Upload-Concat', 'Upload-Defer-Length', 'Upload-Length', 'Upload-Metadata'],
    '201 400 401 403 404 408 409 412 413 415 431 460 500 503 507',
    ['Location', 'Tus-Resumable', 'Upload-Expires', 'Upload-Offset'],
  ],
  [
    'get',
    '/files/{address}',
    [...CONDITIONS, 'If-Range', 'Range', ...WANTED],
    '200 206 304 400 401 403 404 408 412 416 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  [
    'head',
    '/files/{address}',
    ['Tus-Resumable'],
    '200 400 401 403 404 408 412 423 431 500',
    [
      'Cache-Control',
      'Tus-Resumable',
      'Upload-Concat',
      'Upload-Defer-Length',
      'Upload-Expires',
      'Upload-Length',
      'Upload-Metadata',
      'Upload-Offset',
    ],
  ],
  [
    'patch',
    '/files/{address}',
    ['Tus-Resumable', 'Upload-Checksum', 'Upload-Length', 'Upload-Offset'],
    '204 400 401 403 404 408 409 412 413 415 431 460 500 503 507',
    ['Tus-Resumable', 'Upload-Expires', 'Upload-Offset'],
  ],
  ['delete', '/files/{address}', ['Tus-Resumable'], '204 400 401 403 404 408 412 431 500 503 507', ['Tus-Resumable']],
  [
    'put',
    '/api/files/content/{filename}',
    CREATION,
    '200 201 400 401 403 404 408 409 411 412 413 415 431 500 503 507',
    ['ETag', 'Location', ...STATE],
  ],
  [
    'post',
    '/api/files/content/{filename}',
    CREATION,
    '200 201 400 401 403 404 408 409 411 412 413 415 431 500 503 507',
    ['ETag', 'Location', ...STATE],
  ],
  [
    'post',
    '/api/uploads',
    ['Content-Disposition', ...CREATION],
    '200 201 400 401 403 404 408 409 411 412 413 415 431 500 503 507',
    ['ETag', 'Location', ...STATE],
  ],
  ...['get', 'head'].map((method): (typeof OPERATIONS)[number] => [
    method,
    '/api/uploads/{address}',
    ['Upload-Draft-Interop-Version', 'Want-Repr-Digest'],
    '204 400 401 403 404 408 431 500 503',
    ['Cache-Control', 'Repr-Digest', ...STATE],
  ]),
  [
    'patch',
    '/api/uploads/{address}',
    [
      'Content-Digest',
      'Upload-Complete',
      'Upload-Draft-Interop-Version',
      'Upload-Length',
      'Upload-Offset',
      'Want-Repr-Digest',
    ],
    '200 204 400 401 403 404 408 409 413 415 431 500 503 507',
    ['ETag', ...STATE],
  ],
  ['delete', '/api/uploads/{address}', [], '204 400 401 403 404 408 431 500 503 507', []],
  ['get', '/v1/audio/', [], '200 400 401 403 408 431 500 503', ['Cache-Control', 'Link']],
  ['post', '/v1/audio/file', [], '200 400 401 403 404 408 409 412 413 415 422 431 500 503 507', []],
  [
    'get',
    '/v1/audio/file/{pk}',
    [...CONDITIONS, 'If-Range', 'Range', ...WANTED],
    '200 206 304 400 401 403 404 408 412 416 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  [
    'head',
    '/v1/audio/file/{pk}',
    [...CONDITIONS, ...WANTED],
    '200 304 400 401 403 404 408 412 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  ['post', '/api/upload', [], '201 400 401 403 408 412 431 500 503 507', []],
  ...['ops', 'client'].flatMap((kind): typeof OPERATIONS => [
    ['post', `/${kind}/signup`, [], '201 400 401 403 404 408 409 413 415 422 431 500 503 507', ['Cache-Control']],
    ['post', `/${kind}/login`, [], '200 400 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ]),
  ['get', '/logout', [], '200 400 401 403 408 431 500 503 507', ['Cache-Control', 'Set-Cookie']],
  ['get', '/v1/auth/sessions', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['delete', '/v1/auth/sessions', [], '200 400 401 403 408 431 500 503 507', []],
  ['delete', '/v1/auth/sessions/{session_id}', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['post', '/ops/upload', [], '201 400 401 403 404 408 409 412 413 415 422 431 500 503 507', []],
  ['get', '/client/files/{ops_username}', [], '200 400 401 403 404 408 431 500 503', ['Cache-Control', 'Link']],
  [
    'get',
    '/client/files/{ops_username}/{filename}',
    [...CONDITIONS, 'If-Range', 'Range', ...WANTED],
    '200 206 304 400 401 403 404 408 412 416 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  [
    'head',
    '/client/files/{ops_username}/{filename}',
    [...CONDITIONS, ...WANTED],
    '200 304 400 401 403 404 408 412 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  ['post', '/api/files/share/{filename}', [], '201 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ['get', '/api/grants', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['post', '/api/grants', [], '201 400 401 403 404 408 409 413 415 422 431 500 503 507', ['Cache-Control']],
  ['delete', '/api/grants/{grant_id}', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['get', '/api/shares', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['delete', '/api/shares/{share_id}', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['post', '/api/files/player/{filename}', [], '201 400 401 403 404 408 431 500 503', ['Cache-Control', 'Set-Cookie']],
  ['delete', '/api/players/{player_id}', [], '200 400 401 403 404 408 431 500 503', []],
  [
    'get',
    '/api/players/{player_id}',
    [...CONDITIONS, 'If-Range', 'Range', ...WANTED],
    '200 206 304 400 404 408 412 416 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  [
    'head',
    '/api/players/{player_id}',
    [...CONDITIONS, ...WANTED],
    '200 304 400 404 408 412 431 500 503',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  [
    'get',
    '/s/{token}',
    [...CONDITIONS, 'If-Range', 'Range', ...WANTED],
    '200 206 304 400 401 404 408 412 416 431 500 503 507',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  [
    'head',
    '/s/{token}',
    [...CONDITIONS, ...WANTED],
    '200 304 400 401 404 408 412 431 500 503 507',
    [...FILE_FIELDS, 'Last-Modified', 'Repr-Digest'],
  ],
  ['get', '/api/protected', [], '200 400 401 408 431 500 503', ['Cache-Control']],
  ['get', '/api/tokens', [], '200 400 401 403 404 408 431 500 503', ['Cache-Control']],
  ['post', '/api/tokens', [], '201 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ['delete', '/api/tokens/{token_id}', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['post', '/api/tokens/{token_id}/rotate', [], '200 400 401 403 404 408 431 500 503 507', ['Cache-Control']],
  ['get', '/api/tenants', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['post', '/api/tenants', [], '201 400 401 403 408 409 413 415 422 431 500 503 507', []],
  ['delete', '/api/tenants/{tenant_id}', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['get', '/api/clients', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['post', '/api/clients', [], '201 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control', 'Location']],
  ['put', '/api/clients/{client_id}', [], '200 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ['delete', '/api/clients/{client_id}', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['post', '/api/sweep', [], '200 400 401 403 408 431 500 503 507', []],
  ['get', '/api/quotas/me', [], '200 400 401 408 431 500 503', ['Cache-Control']],
  ['get', '/api/quotas/{kind}/{id}', [], '200 400 401 403 404 408 431 500 503', ['Cache-Control']],
  ['put', '/api/quotas/{kind}/{id}', [], '200 400 401 403 404 408 413 415 422 431 500 503 507', []],
  ['get', '/api/audit', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['post', '/calls/otp', [], '200 400 401 403 408 413 415 422 429 431 500 503 507', ['Cache-Control']],
  ['post', '/calls/verify', [], '200 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ['post', '/calls/otp/verify', [], '200 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ['post', '/calls/replay', [], '200 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ['post', '/calls/otp/replay', [], '200 400 401 403 404 408 413 415 422 431 500 503 507', ['Cache-Control']],
  ['get', '/calls/otp/status/{phone}', [], '200 400 401 403 404 408 431 500 503', ['Cache-Control']],
  ['post', '/calls/provider/{session_id}', [], '200 400 401 408 413 415 422 431 500 503 507', []],
  ['get', '/api/phones/{kind}/{id}', [], '200 400 401 403 404 408 431 500 503', ['Cache-Control']],
  ['put', '/api/phones/{kind}/{id}', [], '200 400 401 403 404 408 413 415 422 431 500 503 507', []],
  ['get', '/api/events', ['Last-Event-ID'], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['get', '/api/deliveries', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['post', '/api/deliveries/{id}/retry', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['get', '/api/deliveries/targets', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['post', '/api/deliveries/targets', [], '201 400 401 403 408 409 413 415 422 431 500 503 507', ['Cache-Control']],
  ['delete', '/api/deliveries/targets/{target_id}', [], '200 400 401 403 404 408 431 500 503 507', []],
  [
    'patch',
    '/api/deliveries/targets/{target_id}',
    [],
    '200 400 401 403 404 408 413 415 422 431 500 503 507',
    ['Cache-Control'],
  ],
  [
    'post',
    '/v1/auth/registration',
    [],
    '201 400 403 408 409 413 415 422 429 431 500 503 507',
    ['Cache-Control', 'Set-Cookie'],
  ],
  ['post', '/v1/auth/login', [], '200 400 401 403 408 413 415 422 431 500 503 507', ['Cache-Control', 'Set-Cookie']],
  ['post', '/v1/auth/refresh', [], '200 400 401 403 408 413 415 422 431 500 503 507', ['Cache-Control', 'Set-Cookie']],
  ['post', '/v1/auth/logout', [], '200 400 401 403 408 413 415 422 431 500 503 507', ['Set-Cookie']],
  ['get', '/v1/auth/me', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['put', '/v1/auth/me', [], '200 400 401 403 408 413 415 422 431 500 503 507', ['Cache-Control', 'Set-Cookie']],
  ['get', '/v1/user', [], '200 400 401 403 408 431 500 503', ['Cache-Control']],
  ['post', '/v1/user', [], '201 400 401 403 404 408 409 413 415 422 431 500 503 507', ['Cache-Control']],
  ['post', '/v1/user/get_user', [], '200 400 401 403 404 408 413 415 422 431 500 503', ['Cache-Control']],
  ['put', '/v1/user/update_user', [], '200 400 401 403 404 408 409 413 415 422 431 500 503 507', ['Cache-Control']],
  ['delete', '/v1/user/delete_user', [], '200 400 401 403 404 408 431 500 503 507', []],
  ['get', '/metrics', [], '200 400 401 403 408 429 431 500 503', []],
  ['get', '/api/config', [], '200 400 401 408 431 500 503', ['Cache-Control']],
  ['get', '/api/health', [], '200 400 408 431 500', []],
  ['get', '/health', [], '200 400 408 431 500', []],
  ['get', '/ready', [], '200 400 408 431 500 503', []],
];

/** Who asks whether the server lives can do so as often as they like. */
const UNLIMITED = ['/api/health', '/health', '/ready'];
const RATES = ['RateLimit', 'RateLimit-Policy'];
const FILE_CHANGES = new Set(DOORS.map(({ operation }) => operation));

/** What the table above leaves out, because it is so for every operation of a kind. */
function withCommon(method: string, path: string, statuses: string): string {
  const all = new Set([...statuses.split(' '), '501']);
  // Clients of tus take any other status for the end of the upload.
  const locked = method === 'head' && path === '/files/{address}';
  if (!UNLIMITED.includes(path)) all.add(locked ? '423' : '429');
  if (!['get', 'head'].includes(method)) all.add('415');
  if (changesFile(method, path)) all.add('412');
  if (!opensQuery(method, path)) all.add(path === '/api/upload' ? '400' : '422');
  return [...all].sort().join(' ');
}

function opensQuery(method: string, path: string): boolean {
  return OPEN_QUERIES[`${method.toUpperCase()} ${path}`] !== undefined;
}

function changesFile(method: string, path: string): boolean {
  return FILE_CHANGES.has(`${method.toUpperCase()} ${path}`);
}

test('the OpenAPI document lists the header fields and the statuses of every operation', async (t) => {
  const { paths } = await documentOf(t);
  const listed = Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method} ${path}`),
  );
  assert.deepEqual(listed.sort(), OPERATIONS.map(([method, path]) => `${method} ${path}`).sort());
  for (const [method, path, request, statuses, fields] of OPERATIONS) {
    const operation = paths[path]?.[method];
    assert.ok(operation, `${method} ${path}`);
    const { parameters = [], responses } = operation;
    const headers = parameters.filter((parameter) => parameter.in === 'header');
    const fieldNames = changesFile(method, path) ? [...request, ...PRECONDITIONS] : request;
    assert.deepEqual(headers.map(({ name }) => name).sort(), [...fieldNames].sort(), `${method} ${path}`);
    for (const { name, description, schema, example, required } of headers) {
      assert.ok(description && schema.type === 'string' && typeof example === 'string' && !required, name);
    }
    assert.equal(Object.keys(responses).join(' '), withCommon(method, path, statuses), `${method} ${path}`);
    const [success = ''] = statuses.split(' ');
    const expected = [...fields, 'X-Request-Id', ...(UNLIMITED.includes(path) ? [] : RATES)].sort();
    assert.deepEqual(Object.keys(responses[success]?.headers ?? {}).sort(), expected, `${method} ${path}`);
  }
});

test('the OpenAPI document has the fields of partial, unchanged and refused downloads', async (t) => {
  const { paths } = await documentOf(t);
  const { responses = {} } = paths['/api/files/download/{filename}']?.get ?? {};
  const fields = (status: string): string[] =>
    Object.keys(responses[status]?.headers ?? {}).filter((field) => !RATES.includes(field));
  assert.ok(fields('206').includes('Content-Range'));
  assert.ok(!fields('200').includes('Content-Range'));
  assert.deepEqual(fields('304'), ['Accept-Ranges', 'Cache-Control', 'ETag', 'Last-Modified', 'X-Request-Id']);
  assert.deepEqual(fields('401'), ['WWW-Authenticate', 'X-Request-Id']);
  assert.deepEqual(fields('416'), ['Content-Range', 'X-Request-Id']);
  assert.deepEqual(fields('503'), ['Retry-After', 'X-Request-Id']);
  assert.equal(responses['304']?.content, undefined);
});

/** Statuses that a protocol has for a code besides the catalogue's. */
const ELSEWHERE: Record<string, string[]> = {
  request_timeout: ['503'],
  out_of_bounds: ['413'],
  checksum_mismatch: ['460'],
  size_conflict: ['400'],
};

test('every code of the catalogue stands under its status', async (t) => {
  const { paths, components } = await documentOf(t);
  const listed = new Map<string, Set<string>>();
  for (const operation of Object.values(paths).flatMap((item) => Object.values(item))) {
    for (const [status, codes] of Object.entries(operation['x-error-codes'] ?? {})) {
      // OAuth and tus HEAD have forms and statuses of their own.
      if (!operation.responses[status]?.content?.['application/problem+json']) continue;
      for (const code of codes) listed.set(code, (listed.get(code) ?? new Set()).add(status));
    }
  }
  // No operation answers with it: it is the answer to an unknown method.
  assert.ok(!listed.has('method_not_allowed'));
  const { MethodNotAllowed } = components.responses;
  assert.ok(MethodNotAllowed);
  assert.deepEqual(Object.keys(MethodNotAllowed.headers), ['Allow', 'X-Request-Id', ...RATES]);
  listed.set('method_not_allowed', new Set(['405']));
  for (const [code, { status }] of Object.entries(CATALOGUE)) {
    const expected = [String(status), ...(ELSEWHERE[code] ?? [])];
    assert.deepEqual([...(listed.get(code) ?? [])].sort(), expected.sort(), code);
  }
  assert.equal(listed.size, Object.keys(CATALOGUE).length);
});

/** Every object in a JSON value, with where it stands. */
function* objectsIn(value: unknown, at = '#'): Generator<[at: string, object: Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [at, value as Record<string, unknown>];
  for (const [key, child] of Object.entries(value)) yield* objectsIn(child, `${at}/${key}`);
}

test('the OpenAPI document keeps the rules of OpenAPI 3.1', async (t) => {
  const document = await documentOf(t);
  for (const [at, { $ref, nullable, documented }] of objectsIn(document)) {
    assert.equal(nullable, undefined, `${at}: 3.1 has no nullable`);
    assert.equal(documented, undefined, `${at}: a property of the source`);
    if (typeof $ref !== 'string') continue;
    let target: unknown = document;
    for (const key of $ref.split('/').slice(1)) target = (target as Record<string, unknown> | undefined)?.[key];
    assert.ok(target, `${at}: nothing at ${$ref}`);
  }
  for (const [path, item] of Object.entries(document.paths)) {
    const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const [method, { parameters = [], responses }] of Object.entries(item)) {
      const at = `${method} ${path}`;
      const keys = parameters.map((parameter) => `${parameter.in} ${parameter.name.toLowerCase()}`);
      assert.equal(new Set(keys).size, keys.length, `${at}: a parameter is there twice`);
      const inPath = parameters.filter((parameter) => parameter.in === 'path');
      assert.deepEqual(
        inPath.map(({ name, required }) => [name, required]),
        wanted.map((name) => [name, true]),
        at,
      );
      for (const { name, in: where, schema } of parameters) {
        assert.ok(['query', 'header', 'path'].includes(where) && typeof schema === 'object', `${at}: ${name}`);
        // The specification has other places for these three.
        if (where === 'header') assert.doesNotMatch(name, /^(accept|content-type|authorization)$/i);
      }
      for (const [status, { description, headers, content = {} }] of Object.entries(responses)) {
        assert.match(status, /^[1-5]\d\d$/, at);
        assert.ok(description, `${at} ${status}`);
        for (const [name, field] of Object.entries(headers)) {
          const { description, schema } = RATES.includes(name) ? (document.components.headers[name] ?? field) : field;
          assert.ok(description && typeof schema === 'object', `${at} ${status}: ${name}`);
        }
        for (const { schema } of Object.values(content)) assert.equal(typeof schema, 'object', `${at} ${status}`);
      }
    }
  }
});

test('what the document says of header fields refuses nothing at run time', async (t) => {
  const { origin, client } = await startServer(t);
  const send = async (fields: Record<string, string>): Promise<Response> =>
    fetch(`${origin}/api/files/upload?filename=h&total_size=5`, {
      method: 'POST',
      headers: { ...client.headers, 'content-type': 'application/octet-stream', ...fields },
      body: encodeChunk(0, Buffer.from('hello')),
    });
  for (const field of ['content-range', 'x-chunk-crc32', 'content-digest', 'repr-digest']) {
    await assertProblemReply(await send({ [field]: 'nonsense' }), 'invalid_request');
  }
  assert.equal((await send({ 'x-chunk-crc32': ' 3610A686 ' })).status, 200);
  // RFC 9110 §13.1, §14.2: what cannot be read is left out of account.
  for (const field of ['range', 'if-range', 'if-modified-since', 'if-unmodified-since', 'want-repr-digest']) {
    const headers = { ...client.headers, [field]: 'nonsense' };
    assert.equal((await fetch(`${origin}/api/files/download/h`, { headers })).status, 200, field);
  }
});

test('the metrics are for administrators, by token or by Basic', async (t) => {
  const { origin, admin, client } = await startServer(t);
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  const body = encodeChunk(0, Buffer.from('hello'));
  await fetch(`${origin}/api/files/upload?filename=a&total_size=9`, { method: 'POST', headers, body });
  await fetch(`${origin}/api/files/status/b`, { headers: client.headers });

  const basic = (id: string, secret: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
  });
  await assertProblemReply(await fetch(`${origin}/metrics`, { headers: basic(admin.id, 'wrong') }), 'unauthorized');
  await assertProblemReply(
    await fetch(`${origin}/metrics`, { headers: basic(client.id, client.secret) }),
    'insufficient_scope',
  );
  assert.equal((await fetch(`${origin}/metrics`, { headers: admin.headers })).status, 200);
  const reply = await fetch(`${origin}/metrics`, { headers: basic(admin.id, admin.secret) });
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get('content-type') ?? '', /^text\/plain/);
  const text = await reply.text();
  const value = (line: RegExp): number => Number(line.exec(text)?.[1] ?? Number.NaN);
  assert.equal(value(/^lading_chunks_total (\d+)$/m), 1);
  assert.equal(value(/^lading_chunk_bytes_total (\d+)$/m), 5);
  assert.equal(value(/^lading_chunk_duration_seconds_count (\d+)$/m), 1);
  assert.equal(
    value(/^lading_requests_total\{method="GET",route="\/api\/files\/status\/\*",status="200"\} (\d+)$/m),
    1,
  );
  assert.ok(value(/^lading_received_bytes_total (\d+)$/m) > 22);
  assert.ok(value(/^lading_sent_bytes_total (\d+)$/m) > 100);
  assert.ok(value(/^lading_connections (\d+)$/m) >= 1);
  for (const name of ['open_uploads', 'nodejs_eventloop_lag_seconds', 'process_resident_memory_bytes']) {
    assert.match(text, new RegExp(`^lading_${name} `, 'm'));
  }
});
