/** Date validators (RFC 9110 §8.8.2.2): the date of a file never matches a later file of the same name, even if the clock is set. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CONFIRM_MS } from '../../../src/clock/clock.ts';
import { createToken } from '../../support/product/api-tokens.ts';
import { clockOf, type Machine, machine } from '../../support/product/clock.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';

const DAY = 24 * 3600 * 1000;

async function store({ origin, client }: TestServer, body: string): Promise<void> {
  const url = `${origin}/api/files/content/a.txt`;
  const reply = await fetch(url, { method: 'PUT', headers: client.headers, body });
  assert.ok(reply.ok, await reply.text());
}

function get({ origin, client }: TestServer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${origin}/api/files/download/a.txt`, { headers: { ...client.headers, ...headers } });
}

async function remove({ origin, client }: TestServer, headers: Record<string, string> = {}): Promise<number> {
  const url = `${origin}/api/files/a.txt`;
  const reply = await fetch(url, { method: 'DELETE', headers: { ...client.headers, ...headers } });
  await reply.arrayBuffer();
  return reply.status;
}

/** Checks that the validators of the old file do not match the new one. */
async function assertNew(server: TestServer, old: string, body: string): Promise<void> {
  const since = await get(server, { 'if-modified-since': old });
  assert.deepEqual([since.status, await since.text()], [200, body]);
  const part = await get(server, { 'if-range': old, range: 'bytes=2-' });
  assert.deepEqual([part.status, await part.text()], [200, body]);
  const unmodified = await get(server, { 'if-unmodified-since': old });
  await unmodified.arrayBuffer();
  assert.equal(unmodified.status, 412);
  assert.equal(await remove(server, { 'if-unmodified-since': old }), 412);
}

async function begin(t: TestContext): Promise<{ server: TestServer; on: Machine; old: string }> {
  const on = machine(Date.now());
  const begun = await startServer(t, {}, { clock: on.clock });
  // A token that is valid for a year.
  const { token } = await createToken(begun, begun.client, { scopes: ['files:read', 'files:write', 'files:delete'] });
  const server = { ...begun, client: { ...begun.client, token, headers: { authorization: `Bearer ${token}` } } };
  await store(server, 'the old');
  const reply = await get(server);
  await reply.arrayBuffer();
  const old = reply.headers.get('last-modified') ?? '';
  assert.equal((await get(server, { 'if-modified-since': old })).status, 304);
  return { server, on, old };
}

for (const [what, back] of Object.entries({ 'ten minutes': 600_000, 'two days': 2 * DAY, 'a year': 365 * DAY })) {
  test(`a file that is deleted and created again gets new validators after the date was set back by ${what}`, async (t) => {
    const { server, on, old } = await begin(t);
    on.pass(60_000);
    on.step(-back);
    on.clock.now();
    on.pass(CONFIRM_MS);
    assert.equal(await remove(server), 200);
    await store(server, 'the new');
    await assertNew(server, old, 'the new');
    const kept = on.clock.keep();
    await server.close();
    on.restart(kept);
    const again = await startServer(t, {}, { clock: on.clock }, server.dataDir);
    const now = { ...again, client: server.client };
    await assertNew(now, old, 'the new');
    // In the meantime and long after too.
    on.pass(1000);
    assert.equal(await remove(now), 200);
    await store(now, 'another');
    await assertNew(now, old, 'another');
    on.pass(back + 2 * CONFIRM_MS);
    await assertNew(now, old, 'another');
    const dated = (await get(now)).headers.get('last-modified') ?? '';
    assert.ok(Date.parse(dated) > Date.parse(old));
    assert.equal((await get(now, { 'if-modified-since': dated })).status, 304);
  });
}

test('a file that is replaced after the date was set back gets new validators', async (t) => {
  const { server, on, old } = await begin(t);
  on.step(-DAY);
  on.clock.now();
  on.pass(CONFIRM_MS);
  await store(server, 'the new');
  await assertNew(server, old, 'the new');
  const status = await fetch(`${server.origin}/api/files/status/a.txt`, { headers: server.client.headers });
  const { completed_at: date } = (await status.json()) as { completed_at: string };
  assert.ok(Math.abs(Date.parse(date) - on.clock.now()) < 10_000, 'it was complete at the date of the clock');
});

test('a file that is deleted and created again within a second gets new validators', async (t) => {
  let now = Math.floor(Date.now() / 1000) * 1000;
  const server = await startServer(t, {}, { clock: clockOf(() => now) });
  await store(server, 'the old');
  const reply = await get(server);
  await reply.arrayBuffer();
  const old = reply.headers.get('last-modified') ?? '';
  now += 10;
  assert.equal(await remove(server), 200);
  await store(server, 'the new');
  await assertNew(server, old, 'the new');
  now += 1000;
  assert.notEqual((await get(server)).headers.get('last-modified'), old);
  await assertNew(server, old, 'the new');
});
