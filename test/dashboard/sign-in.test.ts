/** Ways into the dashboard: an account, an outside provider, and out of it everywhere. */
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

test('somebody signs in through an outside provider, and the sign-in outlives a reload', {
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
  assert.equal(new URL(page.url()).search, '', 'nothing of the way back is left in the address');
  await page.reload();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
});

test('a sign-in that is cancelled at the provider leads back to the page with a word; one begun in another tab goes on', {
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
  const [cancels, goesOn] = [await context.newPage(), await context.newPage()];
  for (const page of [cancels, goesOn]) {
    await page.goto(`${origin}/`);
    await page.getByRole('link', { name: 'Sign in with your organisation' }).click();
    await page.locator('[name=login]').waitFor();
  }
  await cancels.getByRole('link', { name: 'Cancel' }).click();
  await cancels.getByText('The sign-in was cancelled at the provider.').waitFor();
  assert.equal(cancels.url(), `${origin}/`);
  await cancels.reload();
  await cancels.getByRole('link', { name: 'Sign in with your organisation' }).waitFor();
  assert.equal(await cancels.getByText('cancelled at the provider').count(), 0);
  await goesOn.locator('[name=login]').fill('alice');
  await goesOn.locator('[name=password]').fill('any');
  await goesOn.locator('[type=submit]').click();
  await goesOn.locator('[type=submit]').click();
  await goesOn.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
});

test('signing out everywhere ends the pages of all other browsers', { skip: WITHOUT_BROWSER }, async (t) => {
  const { origin, admin } = await startServer(t);
  const person = { name: 'Ada', surname: 'Example', email: 'ada@example.org', password: 'seven lamps over dim rivers' };
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  const made = await fetch(`${origin}/v1/user`, { method: 'POST', headers, body: JSON.stringify(person) });
  assert.ok(made.ok);
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
