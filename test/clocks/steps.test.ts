/**
 * A real server whose date is set by minutes, days and a year at random moments. `npm run clocks` runs longer; CRASH_SEED repeats
 * a run that failed.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { createToken } from '../support/product/api-tokens.ts';
import { STEPS } from '../support/product/clock.ts';
import { fakedDate, withoutFaketime } from '../support/product/faked-date.ts';
import { grant, granted, isTokenValid } from '../support/product/oauth.ts';
import { signIn, type TestServer } from '../support/product/server.ts';
import { type Random, seeded } from '../support/random.ts';
import { type ServerProcess, startServerProcess } from '../support/servers/processes.ts';
import { CLIENT, startOpenIdProvider, startYandex } from '../support/servers/providers.ts';
import { startVoiceProvider } from '../support/servers/voice-provider.ts';
import { put } from '../support/wire/downloads.ts';
import { cookies, externalProvider, openId, password, player, secondFactor } from './people-stories.ts';
import { STORIES, type Story } from './stories.ts';

/** How often each story runs. */
const ROUNDS = Number(process.env.CLOCK_ROUNDS || 1);
const skip = withoutFaketime;

const SETTINGS = {
  LADING_IDLE_SECONDS: '30',
  LADING_RATE_TOKEN: '600',
  LADING_TOKEN_MINUTES: '20',
  LADING_WEBHOOK_PRIVATE: 'on',
  LADING_DELIVERY_RETRY_SECONDS: '1',
  LADING_DELIVERY_ATTEMPTS: '100',
  LADING_LOG_LEVEL: 'error',
};

interface Stage {
  folder: string;
  setDate(offMs: number): Promise<void>;
  start(more?: Record<string, string>): Promise<{ server: TestServer; process: ServerProcess }>;
}

async function stage(t: TestContext): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-clocks-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const date = await fakedDate(folder);
  return {
    folder,
    setDate: date.set,
    start: async (more = {}) => {
      const running = await startServerProcess(t, join(folder, 'data'), 0, { ...SETTINGS, ...date.env, ...more });
      const origin = `http://127.0.0.1:${running.port}`;
      const account = async (id: string, secret: string) => {
        const { access_token: token } = await signIn(origin, id, secret);
        return { id, secret, token, headers: { authorization: `Bearer ${token}` } };
      };
      const admin = await account('admin', more.LADING_ADMIN_SECRET ?? running.env.LADING_CLIENT_SECRET ?? '');
      const reply = await fetch(`${origin}/api/clients`, {
        method: 'POST',
        headers: { ...admin.headers, 'content-type': 'application/json' },
        body: JSON.stringify({ role: 'client' }),
      });
      const created = (await reply.json()) as { client_id: string; client_secret: string };
      const client = await account(created.client_id, created.client_secret);
      return { server: { origin, port: running.port, admin, client } as TestServer, process: running };
    },
  };
}

/** Runs these stories `ROUNDS` times with one server, and sets the date at random moments. */
async function runStories(
  t: TestContext,
  stories: Record<string, Story>,
  more: Record<string, string> = {},
): Promise<void> {
  const random = seeded(t);
  const { setDate, start } = await stage(t);
  const { server } = await start(more);
  const step = async (): Promise<void> => {
    if (random.once(2)) await setDate(random.pick([0, ...STEPS]));
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, story] of Object.entries(stories)) {
      t.diagnostic(`${name} ${round}`);
      await story({ t, server, name: `${name}-${round}.bin`, step });
    }
  }
}

const { throttle, parked, ...others } = STORIES;

test('uploads, links, tokens, sessions, rates and deliveries work while the date is set', { skip }, (t) =>
  runStories(t, others),
);

// These stories need servers of their own: failed sign-ins count for the whole address, and uploads are parked after a second.
test('the limit of failed sign-ins holds while the date is set', { skip }, (t) => runStories(t, { throttle }));

test('idle uploads are parked and continue while the date is set', { skip }, (t) =>
  runStories(t, { parked }, { LADING_STALE_SECONDS: '1', LADING_RATE_TOKEN: '0' }),
);

test('people, browsers and an external provider can sign in while the date is set', { skip }, async (t) => {
  const url = await startYandex(t, { ada: { id: '1', default_email: 'ada@x.example', first_name: 'Ada' } });
  await runStories(
    t,
    { password, cookies, externalProvider, player },
    {
      LADING_REGISTRATION: 'open',
      LADING_YANDEX_CLIENT_ID: CLIENT.id,
      LADING_YANDEX_CLIENT_SECRET: CLIENT.secret,
      LADING_YANDEX_OAUTH_URL: url,
      LADING_YANDEX_LOGIN_URL: url,
    },
  );
});

test('sign-in by an OpenID provider with its own clock works while the date is set', { skip }, async (t) => {
  const publicUrl = 'https://lading.test';
  const ada = { email: 'ada@x.example', email_verified: true, given_name: 'Ada' };
  const issuer = await startOpenIdProvider(t, `${publicUrl}/v1/auth/oidc/callback`, { ada });
  const openIdStory = openId(publicUrl);
  await runStories(
    t,
    { openId: openIdStory, again: openIdStory, onceMore: openIdStory },
    {
      LADING_REGISTRATION: 'open',
      LADING_PUBLIC_URL: publicUrl,
      LADING_OIDC_ISSUER: issuer,
      LADING_OIDC_CLIENT_ID: CLIENT.id,
      LADING_OIDC_CLIENT_SECRET: CLIENT.secret,
    },
  );
});

test('a second factor works while the date is set', { skip }, async (t) => {
  const voice = await startVoiceProvider(t);
  const limits = { LADING_OTP_PHONE_HOUR: '0', LADING_OTP_CALLER_HOUR: '0', LADING_OTP_DAY: '0' };
  const more = { LADING_REQUIRE_OTP: 'share', ...limits, ...voice.settings };
  await runStories(t, { secondFactor: secondFactor(voice) }, more);
});

test('a different date at each start loses nothing, and tokens from before a changed secret stay invalid', {
  skip,
}, async (t) => {
  const random = seeded(t);
  for (let round = 0; round < ROUNDS; round += 1) await restarts(t, random);
});

async function restarts(t: TestContext, random: Random): Promise<void> {
  const { setDate, start } = await stage(t);
  const first = await start();
  await put(first.server, 'begun', 0, Buffer.from('abc'), { total_size: '6' });
  const { client } = first.server;
  let session = await granted(await grant(first.server.origin, client, { grant_type: 'client_credentials' }));
  const { token: lasting } = await createToken(first.server, client, { expires_in: 3600 });
  const { token: expired } = await createToken(first.server, client, { expires_in: 1 });
  await eventually(async () => !(await isTokenValid(first.server.origin, expired)), 'an expired token');
  let admin = first.server.admin.token;
  let running = first;
  for (const [n, off] of random.shuffled(STEPS).entries()) {
    await running.process.kill();
    await setDate(off);
    running = await start({ LADING_ADMIN_SECRET: `another-secret-of-the-administrator-${n}` });
    const { origin } = running.server;
    assert.equal(await isTokenValid(origin, admin), false, 'the secret was changed');
    admin = running.server.admin.token;
    assert.equal(await isTokenValid(origin, admin), true);
    assert.deepEqual([await isTokenValid(origin, lasting), await isTokenValid(origin, expired)], [true, false]);
    await fetch(`${origin}/api/sweep`, { method: 'POST', headers: running.server.admin.headers });
  }
  await running.process.kill();
  await setDate(0);
  running = await start({ LADING_ADMIN_SECRET: 'the-last-secret-of-the-administrator' });
  const { origin } = running.server;
  session = await granted(
    await grant(origin, client, { grant_type: 'refresh_token', refresh_token: session.refresh_token ?? '' }),
  );
  const headers = { authorization: `Bearer ${session.access_token}` };
  const asClient = { ...running.server, client: { ...client, headers } } as TestServer;
  const status = await put(asClient, 'begun', 3, Buffer.from('def'), { total_size: '6' });
  assert.equal(status.status, 'complete');
}
