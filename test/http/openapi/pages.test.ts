import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import type { Document } from './pages-setup.ts';

test('the health checks, the OpenAPI document and its page need no sign-in', async (t) => {
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
    'application/vnd.lading.chunks',
    'application/vnd.lading.chunks+crc32',
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
