import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblem, assertProblemReply, exchange } from '../../support/wire/wire.ts';

const KEY = 'the-key-of-this-test-with-more-than-32-bytes';

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function forge(header: object, claims: object, key: string | null, hash = 'sha256'): string {
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${key === null ? '' : createHmac(hash, key).update(input).digest('base64url')}`;
}

test('only an unchanged, unexpired token of this server is accepted', async (t) => {
  const { origin, client, admin } = await startServer(t, { LADING_JWT_SECRET: KEY });
  const now = Math.floor(Date.now() / 1000);
  const HS256 = { alg: 'HS256', typ: 'JWT' };
  const good = {
    sub: client.id,
    kind: 'device',
    role: 'client',
    iss: 'lading',
    aud: 'lading',
    jti: 'forged',
    iat: now,
    exp: now + 60,
  };
  const ask = (authorization: string): Promise<Response> =>
    fetch(`${origin}/api/files`, { headers: { authorization } });

  assert.equal((await ask(`Bearer ${forge(HS256, good, KEY)}`)).status, 200);
  assert.equal((await ask(`bearer ${forge(HS256, good, KEY)}`)).status, 200);
  const ahead = { ...good, iat: now + 60, exp: now + 120 };
  assert.equal(
    (await ask(`Bearer ${forge(HS256, ahead, KEY)}`)).status,
    200,
    'a token of a clock that was ahead is accepted',
  );
  const { exp: _exp, ...endless } = good;
  const bad: Record<string, string> = {
    'alg none, unsigned': forge({ alg: 'none' }, good, null),
    'alg none, signed': forge({ alg: 'none' }, good, KEY),
    'alg None': forge({ alg: 'None' }, good, null),
    unsigned: forge(HS256, good, null),
    'a foreign key': forge(HS256, good, `${KEY}!`),
    'an empty key': forge(HS256, good, ''),
    'HS512 with the right key': forge({ alg: 'HS512' }, good, KEY, 'sha512'),
    'RS256 in name': forge({ alg: 'RS256' }, good, KEY),
    expired: forge(HS256, { ...good, exp: now - 1 }, KEY),
    'not yet good': forge(HS256, { ...good, nbf: now + 60 }, KEY),
    'without end': forge(HS256, endless, KEY),
    'an end in words': forge(HS256, { ...good, exp: 'never' }, KEY),
    'another audience': forge(HS256, { ...good, aud: 'other' }, KEY),
    'no audience': forge(HS256, { ...good, aud: undefined }, KEY),
    'no id': forge(HS256, { ...good, jti: undefined }, KEY),
    'no sort of subject': forge(HS256, { ...good, kind: 'king' }, KEY),
    'a person of that id': forge(HS256, { ...good, kind: 'person' }, KEY),
    'a sign-in that never was': forge(HS256, { ...good, sid: 'f'.repeat(32) }, KEY),
    'another issuer': forge(HS256, { ...good, iss: 'other' }, KEY),
    'an unknown client': forge(HS256, { ...good, sub: 'nobody' }, KEY),
    'a client from the prototype': forge(HS256, { ...good, sub: '__proto__' }, KEY),
    'an object as client': forge(HS256, { ...good, sub: { id: client.id } }, KEY),
    'a critical extension': forge({ ...HS256, crit: ['b64'], b64: false }, good, KEY),
    'cut by a character': forge(HS256, good, KEY).slice(0, -1),
    'cut to its claims': forge(HS256, good, KEY).split('.').slice(0, 2).join('.'),
    'one character more': `${forge(HS256, good, KEY)}A`,
    'expired by a clock that runs behind': forge(HS256, { ...good, iat: now - 120, exp: now - 60 }, KEY),
    garbage: 'x.y.z',
    nothing: '',
  };
  for (const [what, token] of Object.entries(bad)) {
    await t.test(what, async () => {
      const reply = await ask(`Bearer ${token}`);
      assert.match(reply.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/);
      await assertProblemReply(reply, 'unauthorized');
    });
  }
  await t.test('a valid token whose role was changed', async () => {
    const [header, , signature] = forge(HS256, good, KEY).split('.');
    await assertProblemReply(
      await ask(`Bearer ${header}.${part({ ...good, role: 'admin' })}.${signature}`),
      'unauthorized',
    );
  });
  await t.test('the current role of the client counts, not the one in the token', async () => {
    const token = forge(HS256, { ...good, role: 'admin' }, KEY);
    const reply = await fetch(`${origin}/api/clients`, { headers: { authorization: `Bearer ${token}` } });
    await assertProblemReply(reply, 'insufficient_scope');
  });
  await t.test('a token in the query', async () => {
    await assertProblemReply(await fetch(`${origin}/api/files?access_token=${client.token}`), 'unauthorized');
  });
  await t.test('id and secret by Basic', async () => {
    const basic = Buffer.from(`${admin.id}:${admin.secret}`).toString('base64');
    await assertProblemReply(await ask(`Basic ${basic}`), 'unauthorized');
  });
});

test('without credentials the challenge names no error', async (t) => {
  const { port } = await startServer(t);
  const response = await exchange(port, 'GET /api/files HTTP/1.1', 'Host: x');
  assertProblem(response, 'unauthorized');
  assert.equal(response.headers['www-authenticate'], 'Bearer');
});

test('the tokens of a deleted client are refused at once, also on an open connection', async (t) => {
  const { origin, admin, client } = await startServer(t);
  assert.equal((await fetch(`${origin}/api/files`, { headers: client.headers })).status, 200);
  const deleted = await fetch(`${origin}/api/clients/${client.id}`, { method: 'DELETE', headers: admin.headers });
  assert.equal(deleted.status, 200);
  await assertProblemReply(await fetch(`${origin}/api/files`, { headers: client.headers }), 'unauthorized');
});

test('a token expires although it was valid a moment ago', async (t) => {
  let now = Date.now();
  const { origin, admin } = await startServer(t, {}, { clock: clockOf(() => now) });
  const ask = (): Promise<Response> => fetch(`${origin}/api/files`, { headers: admin.headers });
  assert.equal((await ask()).status, 200);
  // The test issued the token by the real clock, however long the server took to start.
  now = Date.now() + 3601_000;
  await assertProblemReply(await ask(), 'unauthorized');
});

test('every documented route except the open ones requires a token', async (t) => {
  const { origin } = await startServer(t);
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const open = new Set<string>();
  let asked = 0;
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of Object.keys(methods)) {
      const url = `${origin}${path.replaceAll(/\{[^}]*\}/g, 'x')}`;
      // Other errors of a tus request are reported before authentication.
      const reply = await fetch(url, { method: method.toUpperCase(), headers: { 'tus-resumable': '1.0.0' } });
      if (reply.status !== 401) open.add(path);
      await reply.arrayBuffer();
      asked += 1;
    }
  }
  assert.ok(asked >= 14, `only ${asked} operations are documented`);
  assert.deepEqual([...open].sort(), [
    '/.well-known/jwks.json',
    '/.well-known/oauth-authorization-server',
    '/.well-known/oauth-protected-resource',
    '/api/health',
    '/api/oauth/introspect',
    '/api/oauth/revoke',
    '/api/oauth/token',
    '/api/players/{player_id}',
    '/auth/token',
    '/client/login',
    '/client/signup',
    '/health',
    '/ops/login',
    '/ops/signup',
    '/ready',
    '/s/{token}',
    '/v1/auth/login',
    '/v1/auth/oidc/callback',
    '/v1/auth/oidc/login',
    '/v1/auth/providers',
    '/v1/auth/registration',
    '/v1/auth/yandex/callback',
    '/v1/auth/yandex/login',
  ]);
});
