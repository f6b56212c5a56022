/** Sign-in through providers: a real OpenID provider and a simulated Yandex, both on loopback. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../../support/product/clock.ts';
import { startServer } from '../../support/product/server.ts';
import { CLIENT, startOpenIdProvider } from '../../support/servers/providers.ts';
import { Browser } from '../../support/wire/browser.ts';
import {
  ALICE,
  PUBLIC,
  refused,
  signedIn,
  throughOidc,
  throughYandex,
  withOidc,
  withYandex,
} from './federation-setup.ts';

test('OpenID Connect gives a new person an account and signs in to it the next time', async (t) => {
  const server = await withOidc(t, { alice: ALICE });
  const browser = new Browser();
  const first = signedIn(await browser.ask(await throughOidc(server, browser, 'alice')));
  assert.equal(first.user.email, 'alice@example.org');
  assert.deepEqual([first.user.name, first.user.surname, first.user.role], ['Alice', 'Liddell', 'client']);
  const me = await browser.ask(`${server.origin}/v1/auth/me`);
  assert.equal(me.status, 200, 'the cookies sign the browser in');
  const bearer = await fetch(`${server.origin}/api/files`, {
    headers: { authorization: `Bearer ${first.access_token}` },
  });
  assert.equal(bearer.status, 200);
  const other = new Browser();
  const second = signedIn(await other.ask(await throughOidc(server, other, 'alice')));
  assert.equal(second.user.id, first.user.id);
});

test('OpenID Connect redirects to return_to only within this server', async (t) => {
  const server = await withOidc(t, { alice: ALICE });
  const browser = new Browser();
  const back = await browser.ask(await throughOidc(server, browser, 'alice', '?return_to=/docs%3Fa=b%23c'));
  assert.equal(back.status, 302);
  assert.equal(back.headers.get('location'), '/docs?a=b#c');
  assert.equal((await browser.ask(`${server.origin}/v1/auth/me`)).status, 200);
  for (const evil of [
    '//evil.example',
    'https://evil.example',
    '/\\evil.example',
    'evil',
    'javascript:alert(1)',
    `/${'ü'.repeat(500)}`,
  ]) {
    const url = `${server.origin}/v1/auth/oidc/login?return_to=${encodeURIComponent(evil)}`;
    refused(await browser.ask(url), 400, 'invalid_request');
  }
});

test('a callback works once, in the browser that began the sign-in, with its state', async (t) => {
  const server = await withOidc(t, { alice: ALICE });
  const browser = new Browser();
  const callback = await throughOidc(server, browser, 'alice');
  const stranger = new Browser();
  refused(await stranger.ask(callback), 400, 'invalid_request');
  const forged = new URL(callback);
  forged.searchParams.set('state', 'x'.repeat(43));
  refused(await browser.ask(forged.href), 400, 'invalid_request');
  signedIn(await browser.ask(callback));
  refused(await browser.ask(callback), 400, 'invalid_request');
});

test('concurrent sign-ins in several tabs are independent', async (t) => {
  const profiles = { anna: { id: '7', default_email: 'anna@yandex.ru', first_name: 'Anna', last_name: 'K' } };
  const server = await withYandex(t, profiles);
  const browser = new Browser();
  const tabs: string[] = [];
  for (const login of ['anna', '', 'nobody', 'anna']) tabs.push(await throughYandex(server, browser, login));
  const [first = '', cancelled = '', unknown = '', last = ''] = tabs;
  refused(await browser.ask(cancelled), 403, 'forbidden');
  refused(await browser.ask(unknown), 403, 'forbidden');
  const [one, two] = await Promise.all([browser.ask(last), browser.ask(first)]);
  assert.equal(signedIn(one).user.id, signedIn(two).user.id);
  for (const tab of tabs) refused(await browser.ask(tab), 400, 'invalid_request');
  const audit = await fetch(`${server.origin}/api/audit?limit=100`, { headers: server.admin.headers });
  const { entries } = (await audit.json()) as { entries: { action: string; target: string; detail: string | null }[] };
  const [made, ...more] = entries.filter(({ action }) => action === 'user_created');
  assert.equal(made?.target, signedIn(one).user.id);
  assert.match(made?.detail ?? '', /role: none → client; .*name: none → Anna/);
  assert.deepEqual(more, [], 'two tabs create one account');
});

test('a cancelled or refused sign-in redirects to the page with the reason', async (t) => {
  const profiles = { anna: { id: '7', default_email: 'anna@yandex.ru', first_name: 'Anna', last_name: 'K' } };
  const server = await withYandex(t, profiles, { LADING_REGISTRATION: 'closed' });
  const browser = new Browser();
  const query = `?return_to=${encodeURIComponent('/?from-outside#/files')}`;
  for (const [login, reason] of [
    ['', 'cancelled'],
    ['nobody', 'forbidden'],
    ['anna', 'forbidden'],
  ] as const) {
    const back = await browser.ask(await throughYandex(server, browser, login, query));
    assert.equal(back.status, 302);
    assert.equal(back.headers.get('location'), `/?from-outside=&sign_in_error=${reason}#/files`);
    refused(await browser.ask(`${server.origin}/v1/auth/me`), 401, 'unauthorized');
  }
  const audit = await fetch(`${server.origin}/api/audit?action=sign_in`, { headers: server.admin.headers });
  const { entries } = (await audit.json()) as { entries: { outcome: string }[] };
  assert.ok(entries.length > 0 && entries.every(({ outcome }) => outcome === 'refused'), JSON.stringify(entries));
});

test('a browser keeps at most four pending sign-ins', async (t) => {
  const server = await withYandex(t, {});
  const browser = new Browser();
  const tabs: string[] = [];
  for (let n = 0; n < 10; n += 1) tabs.push(await throughYandex(server, browser, ''));
  const kept = [...(browser.cookies.get(server.origin)?.keys() ?? [])];
  assert.equal(kept.length, 4);
  refused(await browser.ask(tabs[0] ?? ''), 400, 'invalid_request');
  for (const tab of tabs.slice(-4)) refused(await browser.ask(tab), 403, 'forbidden');
});

/** A browser's own request for a page. */
const NAVIGATION = { headers: { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' } };

test('a callback after ten minutes is refused: with a problem document, or in a browser with a page', async (t) => {
  let now = Date.now();
  const issuer = await startOpenIdProvider(t, `${PUBLIC}/v1/auth/oidc/callback`, { alice: ALICE });
  const settings = {
    LADING_PUBLIC_URL: PUBLIC,
    LADING_OIDC_ISSUER: issuer,
    LADING_OIDC_CLIENT_ID: CLIENT.id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
  };
  const server = await startServer(t, settings, { clock: clockOf(() => now) });
  const browser = new Browser();
  const callback = await throughOidc(server, browser, 'alice');
  now += 601_000;
  const page = await browser.ask(callback, NAVIGATION);
  assert.equal(page.status, 400);
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  assert.match(page.headers.get('vary') ?? '', /Accept/);
  assert.equal(page.headers.get('cache-control'), 'no-store');
  assert.match(page.body, /This sign-in took too long/);
  assert.match(page.body, /<a [^>]*href="\/">Back to the sign-in page<\/a>/);
  refused(await browser.ask(callback), 400, 'invalid_request');
});

test('OpenID Connect refuses an ID token that has expired by the clock of its provider', async (t) => {
  const server = await withOidc(t, { alice: ALICE }, {}, -60);
  const browser = new Browser();
  refused(await browser.ask(await throughOidc(server, browser, 'alice')), 403, 'forbidden');
});
