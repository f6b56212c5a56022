/** Identity providers on loopback: a real OpenID provider, and a server with the interface of Yandex. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { Provider } from 'oidc-provider';

export const CLIENT = { id: 'lading-test', secret: 'the-secret-of-this-server-at-the-provider' };

/** The claims of accounts by login name, which is the `sub`. */
export type Accounts = Record<string, Record<string, string | boolean>>;

async function listen(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  t.after(async () => {
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections();
    await closed;
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/**
 * Starts an OpenID provider that accepts any password and requires PKCE. Resolves with the issuer.
 * @param says overrides members of its metadata (OpenID Connect Discovery 1.0 §3)
 * @param idTokenSeconds the lifetime of ID tokens; negative for expired ones
 */
export async function startOpenIdProvider(
  t: TestContext,
  redirectUri: string,
  accounts: Accounts,
  says: Record<string, string> = {},
  idTokenSeconds = 3600,
): Promise<string> {
  const server = createServer();
  const issuer = await listen(t, server);
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['given_name', 'family_name', 'name'] },
    cookies: { keys: ['only for tests'] },
    features: { devInteractions: { enabled: true } },
    pkce: { required: () => true },
    ttl: { IdToken: () => idTokenSeconds },
    findAccount: (_context, sub) => ({ accountId: sub, claims: async () => ({ ...accounts[sub], sub }) }),
  });
  const answer = provider.callback();
  server.on('request', async (request, response) => {
    const discovers = request.url === '/.well-known/openid-configuration' && Object.keys(says).length > 0;
    if (!discovers || 'x-true' in request.headers) {
      answer(request, response);
      return;
    }
    const metadata = await fetch(`${issuer}${request.url}`, { headers: { 'x-true': '1' } });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...((await metadata.json()) as object), ...says }));
  });
  return issuer;
}

interface YandexCode {
  challenge: string;
  redirectUri: string;
  login: string;
}

/** The fields of a Yandex profile by login. */
export type YandexProfiles = Record<
  string,
  { id: string; default_email?: string; first_name?: string; last_name?: string }
>;

/** `/authorize?…&login=name` grants access at once; `/token` and `/info` check requests as strictly as Yandex does. */
export async function startYandex(t: TestContext, profiles: YandexProfiles): Promise<string> {
  const codes = new Map<string, YandexCode>();
  const tokens = new Map<string, string>();

  async function grant(request: IncomingMessage): Promise<[number, object]> {
    const form = new URLSearchParams(await text(request));
    const code = codes.get(form.get('code') ?? '');
    codes.delete(form.get('code') ?? '');
    const basic = Buffer.from(`${CLIENT.id}:${CLIENT.secret}`).toString('base64');
    const byForm = form.get('client_id') === CLIENT.id && form.get('client_secret') === CLIENT.secret;
    if (!byForm && request.headers.authorization !== `Basic ${basic}`) return [401, { error: 'invalid_client' }];
    const verifier = form.get('code_verifier') ?? '';
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    if (code?.challenge !== challenge || code.redirectUri !== form.get('redirect_uri'))
      return [400, { error: 'invalid_grant' }];
    const token = randomBytes(16).toString('hex');
    tokens.set(token, code.login);
    return [200, { access_token: token, token_type: 'bearer', expires_in: 3600 }];
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (url.pathname === '/authorize') {
      const of = (name: string): string => url.searchParams.get(name) ?? '';
      assert.equal(of('response_type'), 'code');
      assert.equal(of('client_id'), CLIENT.id);
      assert.equal(of('code_challenge_method'), 'S256');
      const back = new URL(of('redirect_uri'));
      back.searchParams.set('state', of('state'));
      if (of('login') === '') back.searchParams.set('error', 'access_denied');
      else {
        const code = randomBytes(8).toString('hex');
        codes.set(code, { challenge: of('code_challenge'), redirectUri: of('redirect_uri'), login: of('login') });
        back.searchParams.set('code', code);
      }
      response.writeHead(302, { location: back.href }).end();
    } else if (url.pathname === '/token' && request.method === 'POST') send(...(await grant(request)));
    else if (url.pathname === '/info') {
      const login = tokens.get(/^OAuth (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '');
      const profile = login === undefined ? undefined : profiles[login];
      send(profile ? 200 : 401, profile ?? { error: 'unauthorized' });
    } else send(404, {});
  });
  return listen(t, server);
}
