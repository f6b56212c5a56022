/** The OpenAPI document is valid, names every operation once, and contains every route. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { startServer } from '../../support/product/server.ts';
import { OpenApiChecker } from '../../support/tables/openapi-checker.ts';

interface Operation {
  operationId?: string;
  requestBody?: { required?: boolean; content: object };
}

async function documentOf(origin: string) {
  return (await (await fetch(`${origin}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
}

test('the OpenAPI document is valid', async (t) => {
  const { origin } = await startServer(t);
  const result = await new Validator().validate(await documentOf(origin));
  assert.deepEqual(result.errors ?? [], []);
  assert.ok(result.valid);
});

test('every operation has a unique id', async (t) => {
  const { origin } = await startServer(t);
  const { paths } = await documentOf(origin);
  const ids = Object.values(paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId ?? ''));
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[a-z]+[A-Z][A-Za-z0-9]*$/);
});

test('an optional body is documented as optional and may be absent', async (t) => {
  const { origin, client } = await startServer(t);
  const { paths } = await documentOf(origin);
  const optional = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { requestBody }]) => requestBody && requestBody.required !== true)
      .map(([method]) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(optional.sort(), [
    'PATCH /api/uploads/{address}',
    'POST /api/files/content/{filename}',
    'POST /api/files/share/{filename}',
    'POST /api/files/upload',
    'POST /api/tokens',
    'POST /api/uploads',
    'POST /files/',
    'POST /v1/auth/logout',
    'POST /v1/auth/refresh',
    'PUT /api/files/content/{filename}',
  ]);
  const { headers } = client;
  const without = (path: string) => fetch(origin + path, { method: 'POST', headers });
  assert.equal((await without('/api/files/content/a')).status, 201);
  assert.equal((await without('/api/files/share/a')).status, 201);
  assert.equal((await without('/api/tokens')).status, 201);
  assert.equal((await without('/api/files/upload?filename=b&total_size=0')).status, 200);
  assert.equal((await fetch(`${origin}/v1/auth/refresh`, { method: 'POST' })).status, 401);
});

test('the check finds replies that differ from the document', () => {
  const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
  const truth = new OpenApiChecker({
    paths: {
      '/x/{filename}': { get: { responses: { 200: { content: { 'application/json': { schema } } }, 204: {} } } },
      '/x/{id}/y': { get: { responses: {} } },
    },
  });
  assert.equal(truth.pathOf('/x/a/b?c'), '/x/{filename}');
  assert.equal(truth.pathOf('/x/a/y'), '/x/{id}/y');
  assert.equal(truth.pathOf('/z'), null);
  const fault = (status: number, type: string, body: string | null) =>
    truth.fault('/x/{filename}', { method: 'GET', status, type, body });
  assert.equal(fault(200, 'application/json; charset=utf-8', '{"a":1}'), null);
  assert.equal(fault(204, '', ''), null);
  assert.match(fault(200, 'application/json', '{"a":"b"}') ?? '', /does not fit/);
  assert.match(fault(200, 'text/html', 'a') ?? '', /media type/);
  assert.match(fault(204, '', 'a') ?? '', /none is documented/);
  assert.match(fault(418, '', '') ?? '', /not documented/);
});
