/** Several tabs of one browser share its cookies: what that means for who is signed in. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { eventually } from '../support/eventually.ts';
import { clockOf } from '../support/product/clock.ts';
import { goTo } from '../support/product/dashboard.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

const PASSWORD = 'seven lamps over dim rivers';

/** A server whose time a test moves on, so that tokens lapse. */
async function timedServer(t: TestContext): Promise<TestServer & { pass(ms: number): void }> {
  let passed = 0;
  const server = await startServer(t, {}, { clock: clockOf(() => Date.now() + passed) });
  return {
    ...server,
    pass: (ms) => {
      passed += ms;
    },
  };
}

async function makePerson({ origin, admin }: TestServer, name: string): Promise<string> {
  const email = `${name.toLowerCase()}@example.org`;
  const headers = { ...admin.headers, 'content-type': 'application/json' };
  const body = JSON.stringify({ name, surname: 'Example', email, password: PASSWORD });
  const made = await fetch(`${origin}/v1/user`, { method: 'POST', headers, body });
  assert.ok(made.ok, await made.clone().text());
  return email;
}

async function enter(page: Page, email: string): Promise<void> {
  await page.getByRole('button', { name: 'Account' }).click();
  await page.getByLabel('E-mail address').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor();
}

const PAST_A_TOKEN = 31 * 60_000;

test('a tab is never renewed as another person: it is signed out and says so, and the other one goes on', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await timedServer(t);
  const [ada, ben] = [await makePerson(server, 'Ada'), await makePerson(server, 'Ben')];
  const { page: first, context, complaints } = await visit(t, `${server.origin}/`);
  await enter(first, ada);
  const idle = await context.newPage();
  await idle.goto(`${server.origin}/`);
  await enter(idle, ada);
  const second = await context.newPage();
  await second.goto(`${server.origin}/`);
  await enter(second, ben);
  server.pass(PAST_A_TOKEN);
  await first
    .getByLabel('Upload files')
    .setInputFiles([{ name: 'diary.txt', mimeType: 'text/plain', buffer: Buffer.from('of Ada') }]);
  await first.getByText('someone else signed in with this browser').waitFor();
  await first.getByRole('button', { name: 'Sign in' }).waitFor();
  // A tab that is loaded anew is no more taken over.
  await idle.reload();
  await idle.getByText('someone else signed in with this browser').waitFor();
  // Ben is still who he was, and has nothing of Ada's.
  await goTo(second, 'Tokens');
  await second.getByText('There are no tokens.').waitFor();
  await goTo(second, 'Files');
  await second.getByText('0 entries').waitFor();
  assert.deepEqual(complaints, []);
});

test('signing out of a tab does not sign out who has signed in in another one since', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await timedServer(t);
  const [ada, ben] = [await makePerson(server, 'Ada'), await makePerson(server, 'Ben')];
  const { page: first, context, complaints } = await visit(t, `${server.origin}/`);
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
  await eventually(isOver, 'the session of Ada is over');
  server.pass(PAST_A_TOKEN);
  await goTo(second, 'Tokens');
  await second.getByText('There are no tokens.').waitFor();
  await first.reload();
  await first.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.deepEqual(complaints, []);
});

test('tabs that renew at the same time take turns and stay signed in', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await timedServer(t);
  const ada = await makePerson(server, 'Ada');
  const { page: first, context, complaints } = await visit(t, `${server.origin}/`);
  await enter(first, ada);
  const tabs = [first];
  for (let n = 0; n < 3; n += 1) {
    const tab = await context.newPage();
    await tab.goto(`${server.origin}/`);
    await enter(tab, ada);
    tabs.push(tab);
  }
  let [now, most, renewals] = [0, 0, 0];
  await context.route('**/v1/auth/refresh', async (route) => {
    now += 1;
    most = Math.max(most, now);
    const response = await route.fetch();
    now -= 1;
    renewals += 1;
    await route.fulfill({ response });
  });
  server.pass(PAST_A_TOKEN);
  await Promise.all(tabs.map((tab) => goTo(tab, 'Tokens')));
  for (const tab of tabs) await tab.getByText('There are no tokens.').waitFor();
  assert.equal(renewals, tabs.length);
  assert.equal(most, 1, 'one at a time');
  for (const tab of tabs) assert.equal(await tab.getByRole('button', { name: 'Sign in' }).count(), 0);
  assert.deepEqual(complaints, []);
});

test('a server that cannot be reached ends no sign-in', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await timedServer(t);
  const ada = await makePerson(server, 'Ada');
  const { page, context } = await visit(t, `${server.origin}/`);
  await enter(page, ada);
  server.pass(PAST_A_TOKEN);
  let tries = 0;
  await context.route('**/v1/auth/refresh', async (route) => {
    tries += 1;
    if (tries <= 2) await route.abort('connectionreset');
    else await route.continue();
  });
  await page.reload();
  await page.getByText('0 entries').waitFor();
  assert.equal(tries, 3);
});
