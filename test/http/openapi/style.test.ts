/**
 * The OpenAPI document is useful for programs: groups in reading order, shared errors, and an example of every body that matches its schema
 * and that the server accepts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { startServer } from '../../support/product/server.ts';
import { operationsOf } from '../../support/tables/openapi.ts';

type Json = Record<string, unknown>;

interface Media {
  schema: Json;
  example?: unknown;
}
interface Operation {
  operationId?: string;
  summary?: string;
  tags?: string[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { $ref?: string; description?: string; content?: Record<string, Media> }>;
  'x-error-codes'?: Record<string, string[]>;
}
interface Document {
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json>; responses: Record<string, { content?: Record<string, Media> }> };
}

async function documentOf(origin: string): Promise<Document> {
  return (await (await fetch(`${origin}/openapi.json`)).json()) as Document;
}

function operations({ paths }: Document): [where: string, operation: Operation][] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
  );
}

/** The schema with all references resolved. */
function inlined(node: unknown, { components }: Document): unknown {
  if (Array.isArray(node)) return node.map((item) => inlined(item, { components } as Document));
  if (typeof node !== 'object' || node === null) return node;
  const { $ref } = node as Json;
  const whole = typeof $ref === 'string' ? components.schemas[$ref.split('/').at(-1) ?? ''] : node;
  return Object.fromEntries(
    Object.entries(whole ?? {}).map(([key, value]) => [key, inlined(value, { components } as Document)]),
  );
}

test('the groups are in reading order, files first, and each operation is in one group', async (t) => {
  const { origin } = await startServer(t);
  const document = await documentOf(origin);
  const names = document.tags.map(({ name }) => name);
  assert.equal(names[0], 'Files');
  const used = new Set<string>();
  for (const [where, { tags = [], summary = '' }] of operations(document)) {
    assert.equal(tags.length, 1, where);
    assert.ok(names.includes(tags[0] ?? ''), `${where}: ${tags[0]} is not described`);
    used.add(tags[0] ?? '');
    assert.match(summary, /^[A-Z].*\.$/, `${where}: a summary is a sentence`);
  }
  assert.deepEqual([...used].sort(), [...names].sort());
  assert.equal(Object.keys(document.paths)[0], '/api/files/upload');
  assert.deepEqual(document.servers, [{ url: '/' }]);
});

test('errors are shared responses, and every operation lists its codes', async (t) => {
  const { origin } = await startServer(t);
  const document = await documentOf(origin);
  for (const [where, operation] of operations(document)) {
    for (const [status, reply] of Object.entries(operation.responses)) {
      if (Number(status) < 400) continue;
      assert.match(reply.$ref ?? '', /^#\/components\/responses\/[A-Za-z0-9]+$/, `${where} ${status}`);
      assert.ok((operation['x-error-codes']?.[status] ?? []).length > 0, `${where} ${status}: no codes`);
    }
  }
});

test('every body that is not a file has an example that matches its schema', async (t) => {
  const { origin } = await startServer(t);
  const document = await documentOf(origin);
  let checked = 0;
  const check = (where: string, content: Record<string, Media> = {}): void => {
    for (const [type, { schema, example }] of Object.entries(content)) {
      if (/octet-stream|lading\.chunks|^\*\/\*$|byteranges|event-stream/.test(type)) continue;
      const validator = Compile(inlined(schema, document) as TSchema);
      const [error] = validator.Errors(example);
      const said = error === undefined ? '' : JSON.stringify(error);
      assert.ok(validator.Check(example), `${where} ${type}: ${JSON.stringify(example)} ${said}`);
      checked += 1;
    }
  };
  for (const [where, { requestBody, responses }] of operations(document)) {
    check(where, requestBody?.content);
    for (const [status, { content }] of Object.entries(responses)) check(`${where} ${status}`, content);
  }
  for (const [name, { content }] of Object.entries(document.components.responses)) check(name, content);
  assert.ok(checked > 100);
});

test('the server accepts every example of a JSON body', async (t) => {
  const { origin, admin } = await startServer(t);
  const document = await documentOf(origin);
  for (const { method, path, needs } of await operationsOf(origin)) {
    const media = document.paths[path]?.[method.toLowerCase()]?.requestBody?.content['application/json'];
    if (!media) continue;
    const headers = { 'content-type': 'application/json', ...(needs === null ? {} : admin.headers) };
    const target = path.replace('{kind}', 'person').replaceAll(/\{\w+\}/g, 'nobody');
    const reply = await fetch(origin + target, { method, headers, body: JSON.stringify(media.example) });
    const text = await reply.text();
    assert.ok(![400, 415, 422, 500].includes(reply.status), `${method} ${path}: ${reply.status} ${text}`);
  }
});

test('no example merely repeats the name of its property', async (t) => {
  const { origin } = await startServer(t);
  const repeated: string[] = [];
  const look = (value: unknown, where: string): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (inner === key) repeated.push(`${where} ${key}`);
      look(inner, `${where} ${key}`);
    }
  };
  for (const [where, { requestBody, responses }] of operations(await documentOf(origin))) {
    for (const { content = {} } of [requestBody ?? {}, ...Object.values(responses)]) {
      for (const { example } of Object.values(content)) look(example, where);
    }
  }
  assert.deepEqual(repeated, []);
});
