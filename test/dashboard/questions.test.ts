/** Confirmations in the dashboard. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { eventually } from '../support/eventually.ts';
import { goTo, signInTo, waitUntilTrue } from '../support/product/dashboard.ts';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

/** Answers the dialogs of the page with `answer` and records their questions. */
function answering(page: Page): { asked: string[]; answer: boolean } {
  const questions = { asked: [] as string[], answer: false };
  page.on('dialog', (dialog) => {
    questions.asked.push(dialog.message() || dialog.type());
    void (questions.answer ? dialog.accept() : dialog.dismiss());
  });
  return questions;
}

test('changes of roles, access and limits ask for confirmation', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  const { page, faults } = await visit(t, `${origin}/`);
  const questions = answering(page);
  await signInTo(page, admin);
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  const person = { name: 'Ada', surname: 'Example', email: 'ada@example.org', password: 'seven lamps over dim rivers' };
  const created = await fetch(`${origin}/v1/user`, { method: 'POST', headers, body: JSON.stringify(person) });
  const { id } = (await created.json()) as { id: string };
  const changes: string[] = [];
  page.on('request', (request) => {
    if (request.method() !== 'GET') changes.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  /** Runs `work`, declines the question, and checks that nothing changed. */
  const refused = async (work: () => Promise<unknown>, question: RegExp) => {
    questions.asked.length = 0;
    questions.answer = false;
    changes.length = 0;
    await work();
    assert.equal(questions.asked.length, 1);
    assert.match(questions.asked[0] ?? '', question);
    assert.deepEqual(changes, []);
  };
  /** Runs `work`, confirms the question, and waits for the change. */
  const done = async (work: () => Promise<unknown>, path: string, method = 'PUT') => {
    questions.answer = true;
    changes.length = 0;
    await work();
    await eventually(() => changes.includes(`${method} ${path}`), 'the change');
  };

  await goTo(page, 'Administration', 'Clients');
  const role = page.getByLabel(`Role of ${client.id}`);
  await refused(
    () => role.selectOption('admin'),
    new RegExp(`Make ${client.id} an administrator.* The current role is client`),
  );
  assert.equal(await role.inputValue(), 'client', 'the current role is shown');
  await done(() => role.selectOption('ops'), `/api/clients/${client.id}`);
  await waitUntilTrue(page, `document.querySelector('[aria-label="Role of ${client.id}"]').value === 'ops'`);
  const disable = page.getByRole('button', { name: `Disable ${client.id}` });
  await refused(() => disable.click(), /^Disable /);
  await done(() => disable.click(), `/api/clients/${client.id}`);
  const enable = page.getByRole('button', { name: `Enable ${client.id}` });
  await refused(() => enable.click(), /^Enable /);
  await page.getByLabel('Client name').fill('gate');
  await page.locator('select[name=role]').selectOption('admin');
  const enrol = page.getByRole('button', { name: 'Create client' });
  await refused(() => enrol.click(), /^Make gate an administrator/);
  await done(() => enrol.click(), '/api/clients', 'POST');

  await goTo(page, 'Administration', 'People');
  for (const [label, text] of [
    ['Given name', 'Bo'],
    ['Family name', 'Example'],
    ['E-mail address', 'bo@example.org'],
    ['Initial password', 'eight lamps over dim rivers'],
  ] as const)
    await page.getByLabel(label).fill(text);
  await page.locator('select[name=role]').selectOption('ops');
  const make = page.getByRole('button', { name: 'Create account' });
  await refused(() => make.click(), /^Make bo@example.org an ops account, which can read all files/);
  await done(() => make.click(), '/v1/user', 'POST');
  const ofAda = page.getByLabel('Role of ada@example.org');
  await refused(() => ofAda.selectOption('admin'), /Make ada@example.org an administrator/);
  assert.equal(await ofAda.inputValue(), 'client');
  await refused(() => page.getByRole('button', { name: 'Disable ada@example.org' }).click(), /^Disable /);
  await done(() => ofAda.selectOption('admin'), '/v1/user/update_user');

  await goTo(page, 'Administration', 'Quotas');
  await page.getByLabel('Client or person').selectOption({ label: 'ada@example.org' });
  await page.getByLabel('GiB stored').fill('2');
  const set = page.getByRole('button', { name: 'Set limits' });
  await refused(
    () => set.click(),
    /Set the limits of ada@example.org\? Stored: 2.0 GiB. Unfinished uploads: server default/,
  );
  await done(() => set.click(), `/api/quotas/person/${id}`);
  assert.deepEqual(faults, []);
});

test('leaving and signing out ask for confirmation only while transfers run', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  const { page, context, faults } = await visit(t, `${origin}/`);
  const questions = answering(page);
  await signInTo(page, client);
  await context.route('**/api/files/upload?*', () => {});
  const pick = (name: string) =>
    page.getByLabel('Upload files').setInputFiles([{ name, mimeType: '', buffer: Buffer.from('some bytes') }]);
  await pick('held.bin');
  await page.getByRole('heading', { name: '1 in progress' }).waitFor();
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  assert.match(questions.asked[0] ?? '', /Transfers are running/);
  await page.close({ runBeforeUnload: true });
  await eventually(() => questions.asked.length === 2, 'the question of the browser');
  assert.equal(questions.asked[1], 'beforeunload');
  await page.getByRole('listitem').filter({ hasText: '↑ held.bin' }).getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('heading', { name: /in progress/ }).waitFor({ state: 'detached' });
  await context.unroute('**/api/files/upload?*');
  await pick('sent.bin');
  await page.locator('[data-name="sent.bin"]').getByText('complete').waitFor();
  questions.asked.length = 0;
  await page.reload();
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.deepEqual(questions.asked, []);
  assert.deepEqual(faults, []);
});
