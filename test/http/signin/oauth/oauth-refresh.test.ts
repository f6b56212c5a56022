/** OAuth: refresh tokens, lifetimes and guessed secrets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GrantReply } from '../../../../src/protocol/schemas/identity/oauth.ts';
import { eventually } from '../../../support/eventually.ts';
import { clockOf, handClock } from '../../../support/product/clock.ts';
import { grant, granted, isTokenValid, refused } from '../../../support/product/oauth.ts';
import { startServer } from '../../../support/product/server.ts';
import { CREDENTIALS } from './oauth-setup.ts';

test('a refresh token works once, and its reuse ends the session with its access tokens', async (t) => {
  const first = await startServer(t);
  const { client, dataDir } = first;
  const refresh = (origin: string, { refresh_token }: GrantReply): Promise<Response> =>
    grant(origin, client, { grant_type: 'refresh_token', refresh_token });
  const one = await granted(await grant(first.origin, client, CREDENTIALS));
  const other = await granted(await grant(first.origin, client, CREDENTIALS));
  const two = await granted(await refresh(first.origin, one));
  const three = await granted(await refresh(first.origin, two));
  for (const { access_token } of [one, two, three]) assert.equal(await isTokenValid(first.origin, access_token), true);
  await refused(await refresh(first.origin, one), 400, 'invalid_grant');
  const ended = async (origin: string): Promise<void> => {
    for (const { access_token } of [one, two, three]) assert.equal(await isTokenValid(origin, access_token), false);
    for (const used of [one, two, three]) await refused(await refresh(origin, used), 400, 'invalid_grant');
    assert.equal(await isTokenValid(origin, other.access_token), true, 'the other session continues');
  };
  await ended(first.origin);
  await first.close();
  const second = await startServer(t, {}, {}, dataDir);
  await ended(second.origin);
  assert.equal((await refresh(second.origin, other)).status, 200);
});

test('the reuse of a refresh token is reported to administrators', async (t) => {
  const clock = handClock(Date.now());
  const { origin, client, admin } = await startServer(t, {}, { clock });
  const { refresh_token } = await granted(await grant(origin, client, CREDENTIALS));
  const fields = { grant_type: 'refresh_token', refresh_token };
  const next = await granted(await grant(origin, client, fields));
  const again = await granted(await grant(origin, client, fields));
  assert.equal(again.refresh_token, next.refresh_token, 'within thirty seconds');
  clock.pass(30_000);
  await refused(await grant(origin, client, fields), 400, 'invalid_grant');
  const [, family] = refresh_token.split('_');
  await eventually(async () => {
    const reply = await fetch(`${origin}/api/audit?action=refusal`, { headers: admin.headers });
    const { entries } = (await reply.json()) as { entries: { principal: string; target: string; detail: string }[] };
    const [found] = entries.filter(({ target }) => target === family);
    return found?.principal === client.id && /used twice/.test(found.detail);
  }, 'the entry of the audit log');
});

test('concurrent uses of a refresh token return the same successor', async (t) => {
  const { origin, client } = await startServer(t);
  const first = await granted(await grant(origin, client, CREDENTIALS));
  const fields = { grant_type: 'refresh_token', refresh_token: first.refresh_token };
  const both = await Promise.all([grant(origin, client, fields), grant(origin, client, fields)]);
  const [one, two] = await Promise.all(both.map(granted));
  assert.ok(one && two);
  assert.equal(one.refresh_token, two.refresh_token);
  for (const { access_token } of [first, one, two]) assert.equal(await isTokenValid(origin, access_token), true);
  const next = await grant(origin, client, { ...fields, refresh_token: one.refresh_token });
  assert.equal(next.status, 200);
});

test('the refresh token of another client is refused and stays valid for its owner', async (t) => {
  const { origin, client, enrol } = await startServer(t);
  const thief = await enrol();
  const { refresh_token } = await granted(await grant(origin, client, CREDENTIALS));
  const fields = { grant_type: 'refresh_token', refresh_token };
  await refused(await grant(origin, thief, fields), 400, 'invalid_grant');
  const [, family = ''] = refresh_token.split('_');
  for (const made of ['x', 'lrt_', refresh_token.slice(0, -1), `lrt_${'0'.repeat(32)}_${'a'.repeat(43)}`]) {
    const bad = { grant_type: 'refresh_token', refresh_token: made };
    await refused(await grant(origin, client, bad), 400, 'invalid_grant');
    await refused(
      await grant(origin, thief, { ...bad, refresh_token: `lrt_${family}_${'a'.repeat(43)}` }),
      400,
      'invalid_grant',
    );
  }
  assert.equal((await grant(origin, client, fields)).status, 200);
});

test('tokens expire by the clock of the server, and a refresh extends the session', async (t) => {
  let now = Date.now();
  const settings = { LADING_TOKEN_MINUTES: '1', LADING_REFRESH_DAYS: '1' };
  const { origin, client } = await startServer(t, settings, { clock: clockOf(() => now) });
  const refresh = ({ refresh_token }: GrantReply): Promise<Response> =>
    grant(origin, client, { grant_type: 'refresh_token', refresh_token });
  const first = await granted(await grant(origin, client, CREDENTIALS));
  now += 59_000;
  assert.equal(await isTokenValid(origin, first.access_token), true);
  now += 1_000;
  assert.equal(await isTokenValid(origin, first.access_token), false);
  now += 80_000_000;
  const second = await granted(await refresh(first));
  now += 80_000_000;
  const third = await granted(await refresh(second));
  now += 86_400_000;
  await refused(await refresh(third), 400, 'invalid_grant');
});

test('guesses of a secret are throttled with the time to wait, and so is the correct secret', async (t) => {
  let now = Date.now();
  const { origin, client, admin } = await startServer(t, {}, { clock: clockOf(() => now) });
  const guess = (): Promise<Response> => grant(origin, { ...client, secret: 'wrong' }, CREDENTIALS);
  for (const reply of await Promise.all(Array.from({ length: 10 }, guess))) await refused(reply, 401, 'invalid_client');
  const slowed = await grant(origin, client, CREDENTIALS);
  const wait = Number(slowed.headers.get('retry-after'));
  assert.ok(wait >= 1);
  await refused(slowed, 429, 'temporarily_unavailable');
  assert.equal((await grant(origin, admin, CREDENTIALS)).status, 200, 'other clients need not wait');
  now += wait * 1000;
  assert.equal((await grant(origin, client, CREDENTIALS)).status, 200);
});
