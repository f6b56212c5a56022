/** Plain HTTP from another machine, where browsers keep no Secure cookies and pages have no clipboard and no locks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../support/product/clock.ts';
import { goTo, signInTo } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { ELSEWHERE, visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

const PASSWORD = 'only for the tokens of this test';
const PATH = '/api/tokens/dashboard';

test('the password opens the token dashboard, which creates and revokes tokens', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { port } = await startServer(t, { DASHBOARD_PASSWORD: PASSWORD });
  const { page, faults } = await visit(t, `http://${ELSEWHERE}:${port}${PATH}`);
  assert.equal(await page.evaluate('isSecureContext'), false);
  const enter = async (password: string) => {
    await page.getByLabel('Password of the token dashboard').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
  };
  await enter('a wrong one');
  await page.getByText('The password is wrong.').waitFor();
  await enter(PASSWORD);
  await page.getByRole('heading', { name: 'API tokens' }).waitFor();
  await page.getByLabel('Token name').fill('night job');
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.locator('.secret code').waitFor();
  await page.getByRole('button', { name: 'Revoke night job' }).click();
  await page.getByRole('row').filter({ hasText: 'night job' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Password of the token dashboard').waitFor();
  assert.deepEqual(faults, []);
});

test('the token dashboard explains why it refuses a sign-in', async (t) => {
  const { origin } = await startServer(t, { DASHBOARD_PASSWORD: PASSWORD });
  const send = (headers: Record<string, string> = {}, password = PASSWORD) =>
    fetch(`${origin}${PATH}`, {
      method: 'POST',
      body: new URLSearchParams({ password }),
      headers: { ...headers },
      redirect: 'manual',
    });
  const form = await fetch(`${origin}${PATH}`);
  assert.equal(form.headers.get('referrer-policy'), 'same-origin');
  // A browser that drops the cookie requests the next page without it.
  const signedIn = await send();
  assert.equal(signedIn.status, 303);
  const next = await fetch(new URL(signedIn.headers.get('location') ?? '', origin));
  assert.match(await next.text(), /did not keep the session cookie/);
  // A browser that does not send the origin of the form, and a form of another site.
  for (const headers of [{ origin: 'null' }, { origin: 'http://evil.example' }]) {
    const refused = await send(headers);
    assert.equal(refused.status, 403);
    assert.match(refused.headers.get('content-type') ?? '', /^text\/html/);
    const text = await refused.text();
    assert.match(text, /A page of another site cannot send this request/);
    assert.equal(text.includes('did not send the origin of the page'), headers.origin === 'null');
    assert.ok(!text.includes('evil'), 'the message gives no advice to another site');
  }
  // A TLS proxy that sends no X-Forwarded-Proto, and a browser that sends only the origin.
  const tls = origin.replace('http:', 'https:');
  const refused = await send({ origin: tls });
  assert.equal(refused.status, 403);
  assert.match(
    await refused.text(),
    new RegExp(`The origin of the page is ${tls}, but this server expects ${origin}: set`),
  );
  const ended = await fetch(`${origin}${PATH}/tokens/create`, {
    method: 'POST',
    body: new URLSearchParams({ a: 'b' }),
  });
  assert.equal(ended.status, 401);
  assert.match(
    await ended.text(),
    /session of the token dashboard has ended.*href="\.\.\/\.\.\/\.\.\/\.\.\/api\/tokens\/dashboard"/,
  );
});

test('cookies are Secure if the Origin of the browser is https', async (t) => {
  const secure = async (settings: Record<string, string>, headers: Record<string, string>) => {
    const { origin } = await startServer(t, { DASHBOARD_PASSWORD: PASSWORD, ...settings });
    const body = new URLSearchParams({ password: PASSWORD });
    const reply = await fetch(`${origin}${PATH}`, { method: 'POST', body, headers, redirect: 'manual' });
    assert.equal(reply.status, 303);
    return /; Secure/.test(reply.headers.get('set-cookie') ?? '');
  };
  const PUBLIC = { LADING_PUBLIC_URL: 'https://files.example.org' };
  assert.equal(await secure({}, {}), false, 'plain HTTP without a public URL');
  assert.equal(await secure(PUBLIC, {}), true);
  assert.equal(await secure(PUBLIC, { origin: 'https://files.example.org' }), true);
  const plain = { LADING_PUBLIC_URL: 'http://files.example.org' };
  assert.equal(await secure(plain, { origin: 'http://files.example.org' }), false);
});

test('a person stays signed in after a token expires, and a secret can be copied', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  let elapsed = 0;
  const { origin, port, admin } = await startServer(t, {}, { clock: clockOf(() => Date.now() + elapsed) });
  const person = { name: 'Ada', surname: 'Example', email: 'ada@example.org', password: 'seven lamps over dim rivers' };
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  assert.ok((await fetch(`${origin}/v1/user`, { method: 'POST', headers, body: JSON.stringify(person) })).ok);
  const { page, faults } = await visit(t, `http://${ELSEWHERE}:${port}/`);
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByLabel('E-mail address').fill(person.email);
  await page.getByLabel('Password').fill(person.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('0 entries').waitFor();
  elapsed += 31 * 60_000;
  await goTo(page, 'Tokens');
  await page.getByText('There are no tokens.').waitFor();
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  const secret = (await page.locator('.secret code').textContent()) ?? '';
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByLabel('Token name').focus();
  await page.keyboard.press('Control+V');
  assert.equal(await page.getByLabel('Token name').inputValue(), secret);
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await signInTo(page, admin);
  assert.deepEqual(faults, []);
});
