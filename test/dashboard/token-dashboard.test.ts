/** /api/tokens/dashboard: plain pages behind a password, or a redirect to the dashboard. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiTokenList } from '../../src/protocol/schemas/identity/token.ts';
import { assertAccessible } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

const PASSWORD = 'only for the tokens of this test';
const PATH = '/api/tokens/dashboard';

test('without a password, the path redirects to the tokens page of the dashboard', async (t) => {
  const { origin } = await startServer(t);
  for (const path of [PATH, `${PATH}/tokens`]) {
    const reply = await fetch(`${origin}${path}`, { redirect: 'manual' });
    assert.equal(reply.status, 303);
    assert.equal(reply.headers.get('location'), '/#/tokens');
  }
  const posted = await fetch(`${origin}${PATH}/tokens/create`, { method: 'POST', body: new URLSearchParams() });
  assert.ok([404, 405].includes(posted.status));
});

test('with a password, pages without scripts create and revoke tokens', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, client, app } = await startServer(t, { DASHBOARD_PASSWORD: PASSWORD });
  const { page, faults } = await visit(t, `${origin}${PATH}`);
  await page.getByLabel('Password of the token dashboard').fill('a wrong one');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The password is wrong.').waitFor();
  await page.getByLabel('Password of the token dashboard').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${origin}${PATH}/tokens`);
  await page.getByLabel('Token name').fill('<b>night</b> job');
  await page.getByLabel('Owner').selectOption(`device ${client.id}`);
  await page.getByRole('button', { name: 'Create token' }).click();
  const token = (await page.locator('.secret code').textContent()) ?? '';
  const ask = () => fetch(`${origin}/api/files`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await ask()).status, 200);
  await page.getByRole('row').filter({ hasText: '<b>night</b> job' }).waitFor();
  await assertAccessible(page);
  await page.goto(`${origin}${PATH}/tokens`);
  assert.equal(await page.getByText(token).count(), 0, 'shown once');
  await page.getByRole('button', { name: 'Revoke <b>night</b> job' }).click();
  await page.waitForURL(`${origin}${PATH}/tokens`);
  assert.equal(await page.getByRole('row').count(), 1);
  assert.equal((await ask()).status, 401);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.goto(`${origin}${PATH}/tokens`);
  await page.getByLabel('Password of the token dashboard').waitFor();
  assert.deepEqual(faults, []);
  assert.equal(app.server.printRoutes().includes(PASSWORD), false);
});

test('guesses, forged cookies, requests of other sites and requests without a cookie are refused', async (t) => {
  const { origin, admin } = await startServer(t, { DASHBOARD_PASSWORD: PASSWORD });
  const post = (path: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(`${origin}${PATH}${path}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers,
      redirect: 'manual',
    });
  const form = { owner: `device ${admin.id}`, 'scope files:read': 'on' };
  assert.equal((await post('/tokens/create', form)).status, 401);
  assert.equal((await post('/tokens/create', form, { cookie: 'token_dashboard=made-up' })).status, 401);
  const signedIn = await post('', { password: PASSWORD });
  assert.equal(signedIn.status, 303);
  const cookie = signedIn.headers.get('set-cookie') ?? '';
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Strict/);
  assert.match(cookie, /Path=\/api\/tokens\/dashboard/);
  const own = { cookie: cookie.split(';')[0] ?? '' };
  assert.equal((await post('/tokens/create', form, { ...own, 'sec-fetch-site': 'cross-site' })).status, 403);
  assert.equal((await post('/tokens/create', { ...form, 'scope files:read': 'off' }, own)).status, 422);
  assert.equal((await post('/tokens/create', form, own)).status, 201);
  const older = await post('/tokens/create', { user_id: 'my_app', scopes: 'read write' }, own);
  assert.equal(older.status, 201);
  const listed = await fetch(`${origin}/api/tokens?user_id=my_app`, { headers: admin.headers });
  const { tokens } = (await listed.json()) as ApiTokenList;
  assert.deepEqual(
    tokens.map(({ user_id, owner_id, scopes }) => [user_id, owner_id, scopes]),
    [['my_app', admin.id, ['read', 'write']]],
  );
  assert.equal((await post('/tokens/create', { user_id: 'my_app', scopes: 'everything' }, own)).status, 422);
  const leave = (headers: Record<string, string>) =>
    fetch(`${origin}${PATH}/logout`, { headers: { ...own, ...headers }, redirect: 'manual' });
  assert.equal((await leave({ 'sec-fetch-site': 'cross-site' })).status, 403);
  assert.equal((await post('/tokens/create', form, own)).status, 201, 'the session continues');
  const left = await leave({});
  assert.deepEqual([left.status, left.headers.get('location')], [303, PATH]);
  assert.equal((await post('/tokens/create', form, own)).status, 401);
  const wrong = await post('', { password: 'a wrong one' });
  assert.equal(wrong.status, 200);
  assert.match(await wrong.text(), /The password is wrong\..*<\/form>/);
  assert.deepEqual(wrong.headers.getSetCookie(), []);
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 30 && statuses.at(-1) !== 429; attempt += 1)
    statuses.push((await post('', { password: `guess ${attempt}` })).status);
  assert.equal(statuses.at(-1), 429, statuses.join(' '));
  const audit = await fetch(`${origin}/api/audit?limit=100`, { headers: admin.headers });
  const text = await audit.text();
  const { entries } = JSON.parse(text) as { entries: { action: string; outcome: string; detail: string | null }[] };
  const created = entries.filter(({ action, outcome }) => action === 'token_created' && outcome === 'ok');
  assert.deepEqual(
    created.map(({ detail }) => detail?.startsWith(`owner: none → ${admin.id}`)),
    [true, true, true],
    text,
  );
  const done = entries.map(({ action, outcome }) => `${action} ${outcome}`);
  for (const one of ['sign_in ok', 'sign_in refused', 'sign_out ok']) assert.ok(done.includes(one), `${one}: ${done}`);
  assert.doesNotMatch(text, new RegExp(`${PASSWORD}|guess`));
});
