/** The dashboard behind a proxy that strips a path prefix. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../support/product/clock.ts';
import { goTo, signInTo } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { startPrefixProxy } from '../support/servers/prefix-proxy.ts';

for (const sendsPrefix of [true, false]) {
  const proxyKind = sendsPrefix ? 'sends the prefix to the server' : 'does not send the prefix';
  test(`behind a proxy that ${proxyKind}, files are uploaded, read and shared, and a reload stays signed in`, {
    skip: WITHOUT_BROWSER,
  }, async (t) => {
    const { port, client } = await startServer(t, { LADING_TRUST_PROXY: 'loopback' });
    const base = await startPrefixProxy(t, port, '/drive', { tells: sendsPrefix });
    const { page, context, faults } = await visit(t, base);
    const outside: string[] = [];
    context.on('request', (request) => {
      const { pathname, protocol } = new URL(request.url());
      if (protocol === 'http:' && !pathname.startsWith('/drive/')) outside.push(pathname);
    });
    await signInTo(page, client);
    await page
      .getByLabel('Upload files')
      .setInputFiles([{ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('below a path') }]);
    const row = page.locator('[data-name="notes.txt"]');
    await row.getByText('complete').waitFor();
    const download = page.waitForEvent('download');
    await row.getByRole('button', { name: 'Download notes.txt' }).click();
    assert.equal((await download).suggestedFilename(), 'notes.txt');
    await page.reload();
    await page.getByRole('button', { name: 'notes.txt', exact: true }).click();
    await page.getByText('below a path').waitFor();
    await page.getByRole('button', { name: 'Create link' }).click();
    const link = (await page.locator('.secret code').textContent()) ?? '';
    if (sendsPrefix) assert.ok(link.startsWith(`${base}s/`), link);
    if (sendsPrefix) assert.equal(await (await fetch(link)).text(), 'below a path');
    await page.getByRole('button', { name: 'Close' }).click();
    await goTo(page, 'Tokens');
    await page.getByText('There are no tokens.').waitFor();
    assert.match(page.url(), /\/drive\/#\/tokens$/);
    assert.deepEqual(outside, []);
    assert.deepEqual(faults, []);
  });
}

test('behind a prefix, the session of a person is renewed by its cookie, and the token dashboard works', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  let elapsed = 0;
  const password = 'only for the tokens of this test';
  const settings = { LADING_TRUST_PROXY: 'loopback', DASHBOARD_PASSWORD: password };
  const { port, admin, origin } = await startServer(t, settings, { clock: clockOf(() => Date.now() + elapsed) });
  const person = { name: 'Ada', surname: 'Example', email: 'ada@example.org', password: 'seven lamps over dim rivers' };
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  assert.ok((await fetch(`${origin}/v1/user`, { method: 'POST', headers, body: JSON.stringify(person) })).ok);
  const base = await startPrefixProxy(t, port, '/drive', { tells: true });
  const { page, faults } = await visit(t, base);
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByLabel('E-mail address').fill(person.email);
  await page.getByLabel('Password').fill(person.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('0 entries').waitFor();
  elapsed += 31 * 60_000;
  await goTo(page, 'Tokens');
  await page.getByText('There are no tokens.').waitFor();
  await page.goto(`${base}api/tokens/dashboard`);
  await page.getByLabel('Password of the token dashboard').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${base}api/tokens/dashboard/tokens`);
  await page.getByLabel('Token name').fill('night job');
  await page.getByRole('button', { name: 'Create token' }).click();
  await page.locator('.secret code').waitFor();
  await page.getByRole('button', { name: 'Revoke night job' }).click();
  await page.waitForURL(`${base}api/tokens/dashboard/tokens`);
  assert.deepEqual(faults, []);
});
