/** Tabs of one browser, which share its cookies. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { eventually } from '../support/eventually.ts';
import { clockOf } from '../support/product/clock.ts';
import { goTo } from '../support/product/dashboard.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

const PASSWORD = 'seven lamps over dim rivers';

/** A server whose clock a test can advance, so that tokens expire. */
async function timedServer(t: TestContext): Promise<TestServer & { pass(ms: number): void }> {
  let elapsed = 0;
  const server = await startServer(t, {}, { clock: clockOf(() => Date.now() + elapsed) });
  return {
    ...server,
    pass: (ms) => {
      elapsed += ms;
    },
  };
}

async function makePerson({ origin, admin }: TestServer, name: string): Promise<string> {
  const email = `${name.toLowerCase()}@example.org`;
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  const body = JSON.stringify({ name, surname: 'Example', email, password: PASSWORD });
  const created = await fetch(`${origin}/v1/user`, { method: 'POST', headers, body });
  assert.ok(created.ok, await created.clone().text());
  return email;
}

async function enter(page: Page, email: string): Promise<void> {
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
}

const TOKEN_EXPIRY_MS = 31 * 60_000;

test('a tab is signed out with a message instead of being renewed as another person, who stays signed in', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await timedServer(t);
  const [ada, ben] = [await makePerson(server, 'Ada'), await makePerson(server, 'Ben')];
  const { page: first, context, faults } = await visit(t, `${server.origin}/`);
  await enter(first, ada);
  const idle = await context.newPage();
  await idle.goto(`${server.origin}/`);
  await enter(idle, ada);
  const second = await context.newPage();
  await second.goto(`${server.origin}/`);
  await enter(second, ben);
  server.pass(TOKEN_EXPIRY_MS);
  await first
    .getByLabel('Upload files')
    .setInputFiles([{ name: 'diary.txt', mimeType: 'text/plain', buffer: Buffer.from('of Ada') }]);
  await first.getByText('someone else signed in with this browser').waitFor();
  await first.getByRole('button', { name: 'Sign in' }).waitFor();
  // A reloaded tab is not renewed as another person either.
  await idle.reload();
  await idle.getByText('someone else signed in with this browser').waitFor();
  // Ben is still signed in and sees nothing of Ada's.
  await goTo(second, 'Tokens');
  await second.getByText('There are no tokens.').waitFor();
  await goTo(second, 'Files');
  await second.getByText('0 entries').waitFor();
  assert.deepEqual(faults, []);
});

test('signing out of a tab does not sign out another person who has signed in since', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await timedServer(t);
  const [ada, ben] = [await makePerson(server, 'Ada'), await makePerson(server, 'Ben')];
  const { page: first, context, faults } = await visit(t, `${server.origin}/`);
  await enter(first, ada);
  const token = (await first.evaluate("JSON.parse(sessionStorage.getItem('lading.token')).token")) as string;
  const second = await context.newPage();
  await second.goto(`${server.origin}/`);
  await enter(second, ben);
  await first.getByRole('button', { name: 'Sign out', exact: true }).click();
  await first.getByRole('button', { name: 'Sign in' }).waitFor();
  const isOver = async () => {
    const reply = await fetch(`${server.origin}/api/files`, { headers: { authorization: `Bearer ${token}` } });
    return reply.status === 401;
  };
  await eventually(isOver, 'the end of the session of Ada');
  server.pass(TOKEN_EXPIRY_MS);
  await goTo(second, 'Tokens');
  await second.getByText('There are no tokens.').waitFor();
  await first.reload();
  await first.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.deepEqual(faults, []);
});

test('tabs that renew at the same time take turns and stay signed in', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await timedServer(t);
  const ada = await makePerson(server, 'Ada');
  const { page: first, context, faults } = await visit(t, `${server.origin}/`);
  await enter(first, ada);
  const tabs = [first];
  for (let n = 0; n < 3; n += 1) {
    const tab = await context.newPage();
    await tab.goto(`${server.origin}/`);
    await enter(tab, ada);
    tabs.push(tab);
  }
  let [running, maxRunning, renewals] = [0, 0, 0];
  await context.route('**/v1/auth/refresh', async (route) => {
    running += 1;
    maxRunning = Math.max(maxRunning, running);
    const response = await route.fetch();
    running -= 1;
    renewals += 1;
    await route.fulfill({ response });
  });
  server.pass(TOKEN_EXPIRY_MS);
  await Promise.all(tabs.map((tab) => goTo(tab, 'Tokens')));
  for (const tab of tabs) await tab.getByText('There are no tokens.').waitFor();
  assert.equal(renewals, tabs.length);
  assert.equal(maxRunning, 1, 'one at a time');
  for (const tab of tabs) assert.equal(await tab.getByRole('button', { name: 'Sign in' }).count(), 0);
  assert.deepEqual(faults, []);
});

test('a session survives a server that cannot be reached', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await timedServer(t);
  const ada = await makePerson(server, 'Ada');
  const { page, context } = await visit(t, `${server.origin}/`);
  await enter(page, ada);
  server.pass(TOKEN_EXPIRY_MS);
  let attempts = 0;
  await context.route('**/v1/auth/refresh', async (route) => {
    attempts += 1;
    if (attempts <= 2) await route.abort('connectionreset');
    else await route.continue();
  });
  await page.reload();
  await page.getByText('0 entries').waitFor();
  assert.equal(attempts, 3);
});
