/** Helpers of the tests of federation. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { SignedIn } from '../../../src/protocol/schemas/identity/people.ts';
import { startServer, type TestServer, type TestSettings } from '../../support/product/server.ts';
import {
  type Accounts,
  CLIENT,
  startOpenIdProvider,
  startYandex,
  type YandexProfiles,
} from '../../support/servers/providers.ts';
import type { Browser, Page } from '../../support/wire/browser.ts';

/** The public address of the server. The tests use its port instead. */
export const PUBLIC = 'https://lading.test';

export const ALICE = { email: 'Alice@Example.org', email_verified: true, given_name: 'Alice', family_name: 'Liddell' };

export async function withOidc(
  t: TestContext,
  accounts: Accounts,
  settings: TestSettings = {},
  idTokenSeconds?: number,
): Promise<TestServer> {
  const issuer = await startOpenIdProvider(t, `${PUBLIC}/v1/auth/oidc/callback`, accounts, {}, idTokenSeconds);
  return startServer(t, {
    LADING_PUBLIC_URL: PUBLIC,
    LADING_REGISTRATION: 'open',
    LADING_OIDC_ISSUER: issuer,
    LADING_OIDC_CLIENT_ID: CLIENT.id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
    ...settings,
  });
}

export async function withYandex(
  t: TestContext,
  profiles: YandexProfiles,
  settings: TestSettings = {},
): Promise<TestServer> {
  const url = await startYandex(t, profiles);
  return startServer(t, {
    LADING_PUBLIC_URL: PUBLIC,
    LADING_REGISTRATION: 'open',
    LADING_YANDEX_CLIENT_ID: CLIENT.id,
    LADING_YANDEX_CLIENT_SECRET: CLIENT.secret,
    LADING_YANDEX_OAUTH_URL: url,
    LADING_YANDEX_LOGIN_URL: url,
    ...settings,
  });
}

/** Rewrites a public address to the port of the server under test. */
export function here({ origin }: TestServer, url: string): string {
  return url.replace(PUBLIC, origin);
}

export function isBack(url: string): boolean {
  return url.startsWith(`${PUBLIC}/v1/auth/`);
}

/** Logs in and consents at the OpenID provider. Returns the address to which it redirects the browser. */
export async function throughOidc(server: TestServer, browser: Browser, login: string, query = ''): Promise<string> {
  const page = await browser.go(`${server.origin}/v1/auth/oidc/login${query}`, isBack);
  // The provider does not ask a signed-in person again.
  if (isBack(page.url)) return here(server, page.url);
  const consent = await browser.submit(page, { prompt: 'login', login, password: 'x' }, isBack);
  const back = isBack(consent.url) ? consent : await browser.submit(consent, { prompt: 'consent' }, isBack);
  assert.ok(isBack(back.url), back.url);
  return here(server, back.url);
}

/** Signs in at Yandex as `login`, without a form. Returns the address to which it redirects the browser. */
export async function throughYandex(server: TestServer, browser: Browser, login: string, query = ''): Promise<string> {
  const { headers } = await browser.ask(`${server.origin}/v1/auth/yandex/login${query}`);
  const back = await browser.go(`${headers.get('location')}&login=${login}`, isBack);
  assert.ok(isBack(back.url), back.url);
  return here(server, back.url);
}

export function signedIn(page: Page): SignedIn {
  assert.equal(page.status, 200, page.body);
  return JSON.parse(page.body) as SignedIn;
}

export function refused(page: Page, status: number, code: string): void {
  assert.equal(page.status, status, page.body);
  assert.equal((JSON.parse(page.body) as { code: string }).code, code);
}
