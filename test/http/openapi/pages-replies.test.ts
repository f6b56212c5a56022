/** Header fields, statuses and codes in the OpenAPI document. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE } from '../../../src/errors.ts';
import { PRECONDITIONS } from '../../../src/http/request/preconditions.ts';
import { FILE_WRITES } from '../../support/tables/file-writes.ts';
import { OPEN_QUERIES } from '../../support/tables/open-queries.ts';
import { documentOf, RATES } from './pages-setup.ts';

/** The documented request fields, statuses, and fields of successful replies besides X-Request-Id. */
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

/** Health checks have no rate limit. */
const UNLIMITED = ['/api/health', '/health', '/ready'];

const FILE_CHANGES = new Set(FILE_WRITES.map(({ operation }) => operation));

/** What the table above omits because it is the same for all operations of a kind. */
function withCommon(method: string, path: string, statuses: string): string {
  const all = new Set([...statuses.split(' '), '501']);
  // Clients of tus take any other status to mean that the upload has ended.
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

/** Statuses of a code that a protocol uses in addition to the one in the catalogue. */
const ELSEWHERE: Record<string, string[]> = {
  request_timeout: ['503'],
  out_of_bounds: ['413'],
  checksum_mismatch: ['460'],
  size_conflict: ['400'],
};

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

test('every code of the catalogue is listed under its status', async (t) => {
  const { paths, components } = await documentOf(t);
  const listed = new Map<string, Set<string>>();
  for (const operation of Object.values(paths).flatMap((item) => Object.values(item))) {
    for (const [status, codes] of Object.entries(operation['x-error-codes'] ?? {})) {
      // OAuth and the HEAD of tus have other forms and statuses.
      if (!operation.responses[status]?.content?.['application/problem+json']) continue;
      for (const code of codes) listed.set(code, (listed.get(code) ?? new Set()).add(status));
    }
  }
  // Only an unknown method gets this code, and no operation documents it.
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
