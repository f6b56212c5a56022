/** Sign-in through a provider, and sign-out on all devices. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { startServer } from '../support/product/server.ts';
import { findChromium, visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { CLIENT, startOpenIdProvider } from '../support/servers/providers.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

test('a sign-in through a provider survives a reload', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const alice = { email: 'alice@example.org', email_verified: true, given_name: 'Alice', family_name: 'Example' };
  const issuer = await startOpenIdProvider(t, `${origin}/v1/auth/oidc/callback`, { alice });
  await startServer(t, {
    LADING_PORT: String(port),
    LADING_PUBLIC_URL: origin,
    LADING_REGISTRATION: 'open',
    LADING_OIDC_ISSUER: issuer,
    LADING_OIDC_CLIENT_ID: CLIENT.id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
  });
  const browser = await chromium.launch({ executablePath: findChromium() ?? '', args: ['--no-sandbox'] });
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`${origin}/`);
  await page.getByRole('link', { name: 'Sign in with your organisation' }).click();
  await page.locator('[name=login]').fill('alice');
  await page.locator('[name=password]').fill('any');
  await page.locator('[type=submit]').click();
  await page.locator('[type=submit]').click();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
  assert.equal(new URL(page.url()).search, '', 'the URL has no query after the sign-in');
  await page.reload();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
});

test('a sign-in that is cancelled at the provider returns with a message, and one in another tab continues', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const alice = { email: 'alice@example.org', email_verified: true, given_name: 'Alice', family_name: 'Example' };
  const issuer = await startOpenIdProvider(t, `${origin}/v1/auth/oidc/callback`, { alice });
  await startServer(t, {
    LADING_PORT: String(port),
    LADING_PUBLIC_URL: origin,
    LADING_REGISTRATION: 'open',
    LADING_OIDC_ISSUER: issuer,
    LADING_OIDC_CLIENT_ID: CLIENT.id,
    LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
  });
  const browser = await chromium.launch({ executablePath: findChromium() ?? '', args: ['--no-sandbox'] });
  t.after(() => browser.close());
  const context = await browser.newContext();
  const [cancelled, continued] = [await context.newPage(), await context.newPage()];
  for (const page of [cancelled, continued]) {
    await page.goto(`${origin}/`);
    await page.getByRole('link', { name: 'Sign in with your organisation' }).click();
    await page.locator('[name=login]').waitFor();
  }
  await cancelled.getByRole('link', { name: 'Cancel' }).click();
  await cancelled.getByText('The sign-in was cancelled at the provider.').waitFor();
  assert.equal(cancelled.url(), `${origin}/`);
  await cancelled.reload();
  await cancelled.getByRole('link', { name: 'Sign in with your organisation' }).waitFor();
  assert.equal(await cancelled.getByText('cancelled at the provider').count(), 0);
  await continued.locator('[name=login]').fill('alice');
  await continued.locator('[name=password]').fill('any');
  await continued.locator('[type=submit]').click();
  await continued.locator('[type=submit]').click();
  await continued.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
});

test('signing out everywhere signs out all other browsers', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, admin } = await startServer(t);
  const person = { name: 'Ada', surname: 'Example', email: 'ada@example.org', password: 'seven lamps over dim rivers' };
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  const created = await fetch(`${origin}/v1/user`, { method: 'POST', headers, body: JSON.stringify(person) });
  assert.ok(created.ok);
  const pages = [(await visit(t, `${origin}/`)).page, (await visit(t, `${origin}/`)).page];
  for (const page of pages) {
    await page.getByRole('button', { name: 'Account' }).click();
    await page.getByLabel('E-mail address').fill(person.email);
    await page.getByLabel('Password').fill(person.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('0 entries').waitFor();
    page.on('dialog', (dialog) => void dialog.accept());
  }
  await pages[0]?.getByRole('button', { name: 'Sign out everywhere' }).click();
  for (const page of pages) await page.getByRole('button', { name: 'Sign in' }).waitFor();
});
