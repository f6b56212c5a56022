/** The rules of OpenAPI, and the metrics page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { documentOf, RATES } from './pages-setup.ts';

/** Every object in a JSON value, with its path. */
function* objectsIn(value: unknown, at = '#'): Generator<[at: string, object: Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [at, value as Record<string, unknown>];
  for (const [key, child] of Object.entries(value)) yield* objectsIn(child, `${at}/${key}`);
}

test('the OpenAPI document follows the rules of OpenAPI 3.1', async (t) => {
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

test('the documented header fields are not validated at run time', async (t) => {
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
  // RFC 9110 §13.1, §14.2: invalid fields are ignored.
  for (const field of ['range', 'if-range', 'if-modified-since', 'if-unmodified-since', 'want-repr-digest']) {
    const headers = { ...client.headers, [field]: 'nonsense' };
    assert.equal((await fetch(`${origin}/api/files/download/h`, { headers })).status, 200, field);
  }
});

test('only administrators read the metrics, with a token or with Basic', async (t) => {
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
