/** Every operation that writes may fail on a full disk: the OpenAPI document says so, and the server does so. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fillUp, NO_SMALL_DISK, smallDisk } from '../../support/disk/small-disk.ts';
import { startServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';

/** Operations with unsafe methods whose answers do not depend on a write to the disk. */
const STORE_NOTHING = [
  'delete /api/players/{player_id}',
  'post /api/files/player/{filename}',
  'post /api/oauth/introspect',
  'post /auth/token',
  'post /v1/auth/oidc/login',
  'post /v1/auth/yandex/login',
  'post /v1/user/get_user',
];

interface Operation {
  responses: Record<string, unknown>;
  'x-error-codes'?: Record<string, string[]>;
}

test('every operation that writes documents insufficient_storage', async (t) => {
  const { origin } = await startServer(t);
  const { paths } = (await (await fetch(`${origin}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  const silent = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => method !== 'get' && method !== 'head')
      .filter(
        ([, { 'x-error-codes': codes }]) =>
          !Object.values(codes ?? {})
            .flat()
            .includes('insufficient_storage'),
      )
      .map(([method]) => `${method} ${path}`),
  );
  assert.deepEqual(silent.sort(), STORE_NOTHING);
});

test('on a full disk, changes fail only with documented errors', async (t) => {
  const disk = await smallDisk(t, 24 * 1024 * 1024);
  if (!disk) return t.skip(NO_SMALL_DISK);
  const server = await startServer(t, {}, {}, join(disk.folder, 'data'));
  disk.beforeUnmount(() => server.close());
  const { origin, client, admin } = server;
  const other = await server.enrol();
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  const post = (path: string, body: object) => sent(origin, 'POST', path, client.headers, body);
  const { token_id: token } = (await (await post('/api/tokens', {})).json()) as { token_id: string };
  const { share_id: share } = (await (await post('/api/files/share/a', {})).json()) as { share_id: string };
  const { grant_id: grant } = (await (await post('/api/grants', { prefix: 'a', grantee: other.id })).json()) as {
    grant_id: string;
  };
  await fillUp(disk.folder);
  // The client of the tests compares each reply with the document.
  const changes: [method: string, path: string, headers: Record<string, string>][] = [
    ['DELETE', `/api/clients/${other.id}`, admin.headers],
    ['DELETE', `/api/tokens/${token}`, client.headers],
    ['DELETE', `/api/shares/${share}`, client.headers],
    ['DELETE', `/api/grants/${grant}`, client.headers],
    ['POST', '/api/sweep', admin.headers],
    ['POST', '/api/files/verify/a', client.headers],
    ['POST', '/api/files/player/a', client.headers],
    ['DELETE', '/api/files/a', client.headers],
    ['DELETE', '/v1/auth/sessions', client.headers],
  ];
  for (const [method, path, headers] of changes) {
    const { status } = await sent(origin, method, path, headers);
    assert.ok(status < 400 || status === 507, `${method} ${path}: ${status}`);
  }
});

function sent(
  origin: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: object,
): Promise<Response> {
  const json = body && { body: JSON.stringify(body), headers: { ...headers, 'content-type': 'application/json' } };
  return fetch(origin + path, { method, headers, ...json });
}
