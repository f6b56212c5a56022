/** Tokens signed by rotating keys, the published keys, and the metadata of the server. */
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { test } from 'node:test';
import type { JwkSet } from '../../../../src/protocol/schemas/identity/oauth.ts';
import { clockOf } from '../../../support/product/clock.ts';
import { grant, granted, isTokenValid } from '../../../support/product/oauth.ts';
import { startServer, type TestServer } from '../../../support/product/server.ts';
import { exchange } from '../../../support/wire/wire.ts';

const CREDENTIALS = { grant_type: 'client_credentials' };
const DAY = 86_400_000;

interface Header {
  alg: string;
  kid?: string;
  typ?: string;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function parts(token: string): { header: Header; claims: Record<string, unknown>; input: string; signature: Buffer } {
  const [header = '', claims = '', signature = ''] = token.split('.');
  const read = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  return {
    header: read(header),
    claims: read(claims),
    input: `${header}.${claims}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

async function published({ origin }: Pick<TestServer, 'origin'>): Promise<JwkSet['keys']> {
  const reply = await fetch(`${origin}/.well-known/jwks.json`);
  assert.equal(reply.status, 200);
  const { keys } = (await reply.json()) as JwkSet;
  return keys;
}

/** Signs a token like the server, or with another key. */
function forged(header: Header, claims: object, key: KeyObject): string {
  const input = `${part(header)}.${part(claims)}`;
  const signature = sign(header.alg === 'EdDSA' ? null : 'sha256', Buffer.from(input), key);
  return `${input}.${signature.toString('base64url')}`;
}

for (const algorithm of ['EdDSA', 'RS256'] as const) {
  test(`${algorithm}: the published keys verify tokens, and other tokens are refused`, async (t) => {
    const server = await startServer(t, { LADING_JWT_ALGORITHM: algorithm });
    const { origin, client } = server;
    const { access_token: token } = await granted(await grant(origin, client, CREDENTIALS));
    const { header, claims, input, signature } = parts(token);
    assert.deepEqual(header, { alg: algorithm, typ: 'JWT', kid: header.kid });
    const [jwk, ...others] = await published(server);
    assert.ok(jwk);
    assert.deepEqual(others, []);
    assert.equal(jwk.kid, header.kid);
    const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
    const hash = algorithm === 'EdDSA' ? null : 'sha256';
    assert.ok(verify(hash, Buffer.from(input), key, signature));
    assert.equal(await isTokenValid(origin, token), true);

    const { kid = '' } = header;
    const pem = key.export({ type: 'spki', format: 'pem' }).toString();
    const der = key.export({ type: 'spki', format: 'der' });
    const hmac = (secret: string | Buffer, head: Header): string => {
      const text = `${part(head)}.${part(claims)}`;
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    };
    const HS256 = { alg: 'HS256', typ: 'JWT', kid };
    const ed25519 = generateKeyPairSync('ed25519').privateKey;
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const own = algorithm === 'EdDSA' ? ed25519 : rsa;
    const [other, otherKey] = algorithm === 'EdDSA' ? (['RS256', rsa] as const) : (['EdDSA', ed25519] as const);
    const bad: Record<string, string> = {
      'HS256 with the public key': hmac(pem, HS256),
      'HS256 with the public key, without its last line break': hmac(pem.trimEnd(), HS256),
      'HS256 with the public key in DER': hmac(der, HS256),
      'HS256 with the bytes of the public key': hmac(Buffer.from(jwk.x ?? jwk.n ?? '', 'base64url'), HS256),
      'HS256 without the id of a key': hmac(pem, { alg: 'HS256', typ: 'JWT' }),
      'none, unsigned': `${part({ alg: 'none', kid })}.${part(claims)}.`,
      'the right algorithm, unsigned': `${input}.`,
      'the right id, another key': forged({ alg: algorithm, kid }, claims, own),
      'an unknown id': forged({ alg: algorithm, kid: 'unknown' }, claims, own),
      'no id': forged({ alg: algorithm }, claims, own),
      'another algorithm': forged({ alg: other, kid }, claims, otherKey),
      'the signature of other claims': `${part(header)}.${part({ ...claims, sub: 'test-admin' })}.${signature.toString('base64url')}`,
      'another header': `${part({ ...header, alg: other })}.${input.split('.')[1]}.${signature.toString('base64url')}`,
      truncated: token.slice(0, -4),
    };
    for (const [what, made] of Object.entries(bad)) assert.equal(await isTokenValid(origin, made), false, what);
  });
}

test('keys survive a restart and rotate, and earlier tokens stay valid until they expire', async (t) => {
  let now = Date.now();
  const clock = clockOf(() => now);
  const settings = {
    LADING_JWT_ALGORITHM: 'EdDSA',
    LADING_JWT_ROTATE_DAYS: '10',
    LADING_TOKEN_MINUTES: '120',
    LADING_REFRESH_DAYS: '1',
    LADING_ACCOUNT_DAYS: '1',
  };
  const first = await startServer(t, settings, { clock });
  const { client, dataDir } = first;
  const [before] = await published(first);
  const early = await granted(await grant(first.origin, client, CREDENTIALS));
  await first.close();

  now += 3_600_000;
  const second = await startServer(t, settings, { clock }, dataDir);
  assert.deepEqual(await published(second), [before]);
  assert.equal(await isTokenValid(second.origin, early.access_token), true);
  now += 10 * DAY - 3_600_000 - 60_000;
  const late = await granted(await grant(second.origin, client, CREDENTIALS));
  await second.close();

  now += 60_000;
  const third = await startServer(t, settings, { clock }, dataDir);
  const keys = await published(third);
  assert.deepEqual(keys[0], before);
  assert.equal(keys.length, 2);
  assert.equal(await isTokenValid(third.origin, late.access_token), true, 'signed by the previous key');
  const fresh = await granted(await grant(third.origin, client, CREDENTIALS));
  assert.equal(parts(fresh.access_token).header.kid, keys[1]?.kid);
  assert.equal(parts(late.access_token).header.kid, before?.kid);
  now += 7_200_000 + 60_000;
  assert.equal(await isTokenValid(third.origin, late.access_token), false);
  assert.equal((await published(third)).length, 2, 'tokens of named accounts are valid for a day');
  now += DAY;
  assert.deepEqual(await published(third), [keys[1]]);
});

test('after a change of algorithm, old access tokens are refused and refresh tokens still work', async (t) => {
  const first = await startServer(t, { LADING_JWT_ALGORITHM: 'EdDSA' });
  const { client, dataDir } = first;
  const { access_token, refresh_token } = await granted(await grant(first.origin, client, CREDENTIALS));
  await first.close();
  const { origin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await isTokenValid(origin, access_token), false);
  const next = await granted(await grant(origin, client, { grant_type: 'refresh_token', refresh_token }));
  assert.equal(await isTokenValid(origin, next.access_token), true);
});

test('with HS256 the key set is empty', async (t) => {
  assert.deepEqual(await published(await startServer(t)), []);
});

test('the metadata has the URLs of the OAuth routes under the configured or requested address', async (t) => {
  const { origin, port } = await startServer(t);
  const read = async (from: string, name: string) => {
    const reply = await fetch(`${from}/.well-known/${name}`);
    assert.equal(reply.status, 200);
    return (await reply.json()) as Record<string, unknown>;
  };
  const metadata = await read(origin, 'oauth-authorization-server');
  assert.equal(metadata.issuer, origin);
  assert.deepEqual(metadata.grant_types_supported, ['client_credentials', 'refresh_token']);
  assert.deepEqual(metadata.response_types_supported, []);
  const { paths } = (await (await fetch(`${origin}/openapi.json`)).json()) as { paths: Record<string, object> };
  for (const [name, url] of Object.entries(metadata)) {
    if (name.endsWith('_endpoint')) assert.ok(paths[String(url).replace(origin, '')], `${name}: ${String(url)}`);
  }
  assert.equal((await fetch(String(metadata.jwks_uri))).status, 200);
  const resource = await read(origin, 'oauth-protected-resource');
  assert.deepEqual([resource.resource, resource.authorization_servers], [origin, [origin]]);
  const named = await exchange(port, 'GET /.well-known/oauth-authorization-server HTTP/1.1', 'Host: files.example');
  assert.equal((JSON.parse(named.body) as { issuer: string }).issuer, 'http://files.example');
  // Hosts that are invalid or cannot be the address of a server.
  for (const host of ['Host:', 'Host: a:99999']) {
    for (const name of ['oauth-authorization-server', 'oauth-protected-resource']) {
      const { status, body } = await exchange(port, `GET /.well-known/${name} HTTP/1.1`, host);
      assert.deepEqual(
        [status, (JSON.parse(body) as { code: string }).code],
        [400, 'invalid_request'],
        `${name}, ${host}`,
      );
    }
    assert.equal((await exchange(port, 'GET /health HTTP/1.1', host)).status, 400, host);
  }

  const behind = await startServer(t, { LADING_PUBLIC_URL: 'https://files.example.org' });
  const { issuer, token_endpoint } = await read(behind.origin, 'oauth-authorization-server');
  assert.equal(issuer, 'https://files.example.org');
  assert.equal(token_endpoint, 'https://files.example.org/api/oauth/token');
});

test('below a path, the metadata is only where RFC 8414 and RFC 9728 expect it', async (t) => {
  const { origin } = await startServer(t, { LADING_PUBLIC_URL: 'https://files.example/drive' });
  for (const name of ['oauth-authorization-server', 'oauth-protected-resource']) {
    const at = `${origin}/.well-known/${name}`;
    const plain = await (await fetch(at)).text();
    assert.match(plain, /"https:\/\/files\.example\/drive"/);
    for (const path of ['/drive', '/drive/', '/drive?x=y']) {
      const reply = await fetch(`${at}${path}`);
      // Unknown query parameters are refused at both addresses.
      assert.equal(reply.status, path.includes('?') ? (await fetch(`${at}?x=y`)).status : 200, path);
      if (reply.status === 200) assert.equal(await reply.text(), plain, path);
    }
    for (const path of ['/other', '/drive/more', '/drives']) {
      assert.equal((await fetch(`${at}${path}`)).status, 404, path);
    }
  }
});
