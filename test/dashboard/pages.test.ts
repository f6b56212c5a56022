/** The pages Tokens, Transfers and Administration in a real browser with a real server. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import type { Target } from '../../src/protocol/schemas/delivery.ts';
import { assertAccessible, goTo, signInTo, waitUntilTrue } from '../support/product/dashboard.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';

async function sendChunk(server: TestServer, name: string, start: number, bytes: Buffer, total: number): Promise<void> {
  const query = new URLSearchParams({ filename: name, total_size: String(total) });
  const headers = { ...server.client.headers, 'content-type': 'application/octet-stream' };
  const body = encodeChunk(start, bytes);
  const reply = await fetch(`${server.origin}/api/files/upload?${query}`, { method: 'POST', headers, body });
  assert.equal(reply.status, 200, await reply.text());
}

test('a token is created, shown once, used, counted and revoked at once', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const { page, faults } = await visit(t, `${server.origin}/`);
  page.on('dialog', (dialog) => void dialog.accept());
  await signInTo(page, server.client);
  await goTo(page, 'Tokens');
  await page.getByText('There are no tokens.').waitFor();
  await page.getByLabel('Token name').fill('backup');
  await page.getByLabel('Expires after').selectOption('86400');
  await page.getByRole('button', { name: 'Create token' }).click();
  const token = (await page.locator('.secret code').textContent()) ?? '';
  const ask = () => fetch(`${server.origin}/api/files`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal((await ask()).status, 200);
  const row = page.getByRole('row').filter({ hasText: 'backup' });
  await row.getByText(' 1', { exact: true }).waitFor();
  assert.match((await row.textContent()) ?? '', /files:read/);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Done' }).click();
  assert.equal(await page.getByText(token).count(), 0, 'the token is not shown again');
  await page.getByRole('button', { name: 'Revoke backup' }).click();
  await row.waitFor({ state: 'detached' });
  assert.equal((await ask()).status, 401);
  assert.deepEqual(faults, []);
});

test('Transfers shows received and missing parts as they change, and cancels uploads', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const { page, faults } = await visit(t, `${server.origin}/`);
  page.on('dialog', (dialog) => void dialog.accept());
  await signInTo(page, server.admin);
  await goTo(page, 'Transfers');
  await page.getByText('No uploads are in progress.').waitFor();
  const bytes = randomBytes(100_000);
  await sendChunk(server, 'live.raw', 0, bytes, 400_000);
  const row = page.getByRole('row').filter({ hasText: 'live.raw' });
  await row.getByText('25 % of').waitFor();
  await sendChunk(server, 'live.raw', 200_000, bytes, 400_000);
  await row.getByText('50 % of').waitFor();
  assert.equal(await row.locator('rect.missing').count(), 2, 'the gaps are drawn');
  assert.match((await row.textContent()) ?? '', new RegExp(server.client.id), 'the row names the owner');
  await page.getByRole('region', { name: 'Storage' }).getByRole('row').nth(2).waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Cancel the upload of live.raw' }).click();
  await row.waitFor({ state: 'detached' });
  const status = await fetch(`${server.origin}/api/files/status/live.raw`, { headers: server.client.headers });
  assert.equal(((await status.json()) as { status: string }).status, 'pending');
  assert.deepEqual(faults, []);
});

test('Administration manages clients, people, quotas and deliveries, and shows the audit log and the server', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t, { LADING_WEBHOOK_PRIVATE: 'on', LADING_DELIVERY_ATTEMPTS: '1' });
  const { page, faults } = await visit(t, `${server.origin}/`);
  page.on('dialog', (dialog) => void dialog.accept());
  await signInTo(page, server.admin);

  await goTo(page, 'Administration', 'Clients');
  await page.getByLabel('Client name').fill('camera 7');
  await page.getByRole('button', { name: 'Create client' }).click();
  await page.getByText('The secret of client').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('row').filter({ hasText: 'camera 7' }).waitFor();
  // A client that another administrator created appears without a reload.
  const other = await server.enrol('ops');
  const row = page.getByRole('row').filter({ hasText: other.id });
  await row.waitFor();
  const works = async () => (await fetch(`${server.origin}/api/files`, { headers: other.headers })).status;
  assert.equal(await works(), 200);
  await page.getByRole('button', { name: `Disable ${other.id}` }).click();
  await row.getByText('disabled').waitFor();
  assert.equal(await works(), 401);
  await page.getByRole('button', { name: `Enable ${other.id}` }).click();
  await row.getByText('enabled').waitFor();
  await page.getByLabel(`Role of ${other.id}`).selectOption('client');
  await page.getByRole('button', { name: `End sessions of ${other.id}` }).click();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Delete camera 7' }).click();
  await page.getByRole('row').filter({ hasText: 'camera 7' }).waitFor({ state: 'detached' });

  await goTo(page, 'Administration', 'People');
  await page.getByLabel('Given name').fill('Ada');
  await page.getByLabel('Family name').fill('Example');
  await page.getByLabel('E-mail address').fill('ada@example.org');
  await page.getByLabel('Initial password').fill('short');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByLabel('Initial password').fill('seven lamps over dim rivers');
  await page.getByRole('button', { name: 'Create account' }).click();
  const ada = page.getByRole('row').filter({ hasText: 'ada@example.org' });
  await ada.waitFor();
  await page.getByLabel('Role of ada@example.org').selectOption('ops');
  await waitUntilTrue(page, "document.querySelector('td select')?.value === 'ops'");
  await assertAccessible(page);

  await goTo(page, 'Administration', 'Quotas');
  await page.getByLabel('Client or person').selectOption({ label: server.client.id });
  await page.getByLabel('GiB stored').fill('2');
  await page.getByRole('button', { name: 'Set limits' }).click();
  await page.getByText('0 B of 2.0 GiB').waitFor();
  await assertAccessible(page);

  await goTo(page, 'Administration', 'Deliveries');
  await page.getByLabel('Webhook URL').fill('http://127.0.0.1:9/hook');
  await page.getByRole('button', { name: 'Add target' }).click();
  await page.getByText('The secret of').waitFor();
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByLabel('Kind').selectOption('ftp');
  await page.getByLabel('Host').fill('ftp.example.org');
  await page.getByLabel('User name').fill('lading');
  await page.getByLabel('Password').fill('of the ftp server');
  await page.getByLabel('Only names that begin with').fill('nothing/');
  await page.getByLabel('File names').fill('{id}_{name}');
  assert.equal(await page.getByLabel('Certificate authority').count(), 0);
  await page.getByLabel('Kind').selectOption('ftps');
  await page.getByLabel('Certificate authority').fill('no certificate');
  await page.getByRole('button', { name: 'Add target' }).click();
  await page.getByText('ca must be a certificate in PEM').waitFor();
  await page.getByLabel('Certificate authority').fill(CERTIFICATE);
  await page.getByRole('button', { name: 'Add target' }).click();
  const ftp = page.getByRole('row').filter({ hasText: 'ftp.example.org' });
  await ftp.getByText('nothing/').waitFor();
  assert.equal(await page.getByText('of the ftp server').count(), 0);
  const targets = await fetch(`${server.origin}/api/deliveries/targets`, { headers: server.admin.headers });
  const stored = ((await targets.json()) as { targets: Target[] }).targets.find(
    ({ host }) => host === 'ftp.example.org',
  );
  assert.deepEqual([stored?.kind, stored?.pattern, stored?.ca?.trim()], ['ftps', '{id}_{name}', CERTIFICATE]);
  await page.getByRole('button', { name: 'Delete ftp.example.org' }).click();
  await ftp.waitFor({ state: 'detached' });
  await sendChunk(server, 'sent.bin', 0, Buffer.from('abc'), 3);
  const delivery = page.getByRole('row').filter({ hasText: 'sent.bin' });
  await delivery.getByText('failed', { exact: true }).waitFor();
  await page.getByLabel('State').selectOption('failed');
  await page.getByRole('button', { name: 'Retry sent.bin' }).click();
  await delivery.getByText('failed', { exact: true }).waitFor();
  await assertAccessible(page);

  await goTo(page, 'Administration', 'Audit log');
  await page.getByLabel('Action').selectOption('quota_set');
  await page.getByRole('row').filter({ hasText: 'quota_set' }).waitFor();
  await page.getByRole('row').filter({ hasText: 'user_created' }).first().waitFor({ state: 'detached' });
  await assertAccessible(page);

  await goTo(page, 'Administration', 'Server');
  await page.getByText('The server is healthy.').waitFor();
  await page.getByText('jwt secret').waitFor();
  assert.equal(await page.getByText(String(server.admin.secret)).count(), 0);
  await assertAccessible(page);
  assert.deepEqual(faults, []);
});

test('pages that a role may not use are hidden, and the server refuses them', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await startServer(t);
  const { page, faults } = await visit(t, `${server.origin}/#/admin/clients`);
  await signInTo(page, server.client);
  const menu = page.getByRole('navigation', { name: 'Pages' });
  assert.deepEqual(await menu.getByRole('link').allTextContents(), ['Files', 'Transfers', 'Tokens']);
  assert.equal(await page.getByRole('navigation', { name: 'Administration' }).count(), 0);
  const refused = await fetch(`${server.origin}/api/clients`, { headers: server.client.headers });
  assert.equal(refused.status, 403);
  await goTo(page, 'Transfers');
  await page.getByText('No uploads are in progress.').waitFor();
  assert.equal(await page.getByRole('region', { name: /hour|Since/ }).count(), 0, 'no statistics of the server');
  assert.deepEqual(faults, []);
});

test('a page that signed in with a token is signed out when the token is revoked', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const headers = { ...server.client.headers, 'content-type': 'application/json' };
  const created = await fetch(`${server.origin}/api/tokens`, {
    method: 'POST',
    headers,
    body: '{"scopes":["read","write"]}',
  });
  const { token, token_id: id } = (await created.json()) as { token: string; token_id: string };
  const { page } = await visit(t, `${server.origin}/`);
  await page.getByRole('button', { name: 'API token' }).click();
  await page.getByLabel('API token', { exact: true }).last().fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('0 entries').waitFor();
  await fetch(`${server.origin}/api/tokens/${id}`, { method: 'DELETE', headers: server.client.headers });
  await page.getByText('The session has ended. Sign in again.').waitFor();
});
