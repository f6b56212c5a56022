import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { startServer } from '../support/server.ts';
import { assertProblemReply } from '../support/wire.ts';

test('health, the document and its page are open', async (t) => {
  const { origin } = await startServer(t);
  for (const path of ['/health', '/ready']) {
    const reply = await fetch(`${origin}${path}`);
    assert.equal(reply.status, 200);
    assert.deepEqual(await reply.json(), { status: 'healthy' });
    assert.equal((await fetch(`${origin}${path}`, { method: 'HEAD' })).status, 200);
  }
  const page = await fetch(`${origin}/docs`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /swagger-ui/);
});

interface Operation {
  responses: Record<string, { content?: Record<string, unknown> }>;
  requestBody?: { content: Record<string, unknown> };
  parameters?: { name: string; in: string; required?: boolean }[];
  security?: unknown[];
}

test('the OpenAPI document has every route with its parameters, bodies and replies', async (t) => {
  const { origin } = await startServer(t);
  const reply = await fetch(`${origin}/openapi.json`);
  assert.match(reply.headers.get('content-type') ?? '', /^application\/json/);
  const document = (await reply.json()) as { openapi: string; paths: Record<string, Record<string, Operation>> };
  assert.match(document.openapi, /^3\.1/);
  const { paths } = document;
  const expected: Record<string, string[]> = {
    '/auth/token': ['post'],
    '/api/files/upload': ['post'],
    '/api/files/status/{filename}': ['get'],
    '/api/files/download/{filename}': ['get', 'head'],
    '/api/files/complete/{filename}': ['post'],
    '/api/files/verify/{filename}': ['post'],
    '/api/files': ['get'],
    '/api/files/{filename}': ['delete'],
    '/api/clients': ['get', 'post'],
    '/api/clients/{client_id}': ['delete'],
    '/api/sweep': ['post'],
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
  assert.deepEqual(Object.keys(upload?.responses['409']?.content ?? {}), ['application/problem+json']);
  assert.deepEqual(Object.keys(paths['/auth/token']?.post?.requestBody?.content ?? {}), [
    'application/x-www-form-urlencoded',
  ]);
  const status = paths['/api/files/status/{filename}']?.get;
  assert.ok(status?.parameters?.some(({ name, in: where }) => name === 'filename' && where === 'path'));
  assert.ok(status?.responses['200']?.content?.['text/event-stream'], 'the stream of events is described');
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
