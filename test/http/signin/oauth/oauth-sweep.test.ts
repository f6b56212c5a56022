/** The next start removes expired credentials from the data directory. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { Layout } from '../../../../src/storage/disk/directory/layout.ts';
import { eventually } from '../../../support/eventually.ts';
import { clockOf } from '../../../support/product/clock.ts';
import { basic, form, grant, granted, isTokenValid } from '../../../support/product/oauth.ts';
import { startServer } from '../../../support/product/server.ts';

const DAY = 86_400_000;

test('expired sessions, API tokens and revocations are swept, and valid ones stay', async (t) => {
  let now = Date.now();
  const clock = clockOf(() => now);
  const settings = { LADING_REFRESH_DAYS: '2' };
  const first = await startServer(t, settings, { clock });
  const { client, dataDir, origin } = first;
  const layout = new Layout(dataDir);
  const kept = async (): Promise<number[]> => {
    const folders = ['sign-ins', 'api-tokens', 'revocations'] as const;
    return Promise.all(folders.map(async (name) => (await readdir(layout.collection(name))).length));
  };
  const issue = (expires_in: number): Promise<Response> =>
    fetch(`${origin}/api/tokens`, {
      method: 'POST',
      headers: { ...client.headers, 'content-type': 'application/json' },
      body: JSON.stringify({ expires_in }),
    });
  const credentials = { grant_type: 'client_credentials' };
  const { access_token: token } = await granted(await grant(origin, client, credentials));
  assert.equal((await form(origin, '/api/oauth/revoke', { token }, basic(client))).status, 200);
  assert.equal((await issue(3600)).status, 201);
  assert.equal((await issue((10 * DAY) / 1000)).status, 201);
  now += 1.75 * DAY;
  const young = await granted(await grant(origin, client, credentials));
  assert.deepEqual(await kept(), [2, 2, 1]);
  await first.close();
  // Expired credentials are kept for a day.
  now += 1.5 * DAY;
  const second = await startServer(t, settings, { clock }, dataDir);
  await eventually(async () => (await kept()).join() === '1,1,0', 'the sweep of the start');
  const fields = { grant_type: 'refresh_token', refresh_token: young.refresh_token };
  const next = await granted(await grant(second.origin, client, fields));
  assert.equal(await isTokenValid(second.origin, next.access_token), true);
});
