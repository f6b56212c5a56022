import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../../../support/product/server.ts';
import { repoRoot } from '../../../support/root.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';

test('every principal sees the settings for clients, with secrets masked', async (t) => {
  const secret = 'a-secret-that-signs-and-is-never-shown';
  const settings = {
    LADING_JWT_SECRET: secret,
    LADING_TOKEN_MINUTES: '7',
    LADING_MAX_CHUNK_BYTES: '5MB',
    LADING_PUBLIC_URL: 'https://files.example.org',
  };
  const { origin, client, enrol, dataDir } = await startServer(t, settings);
  for (const { headers } of [client, await enrol('ops'), await enrol('admin')]) {
    const reply = await fetch(`${origin}/api/config`, { headers });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get('cache-control'), 'no-store');
    const text = await reply.text();
    assert.ok(!text.includes(secret) && !text.includes(dataDir), text);
    const { version } = JSON.parse(readFileSync(join(repoRoot(), 'package.json'), 'utf8')) as { version: string };
    assert.deepEqual(JSON.parse(text), {
      version,
      server: { public_url: 'https://files.example.org', registration: 'closed' },
      limits: {
        max_chunk_bytes: 5_000_000,
        max_file_bytes: 1024 ** 4,
        rate_principal: 600_000,
        rate_token: 300_000,
        rate_address: 1_200_000,
      },
      durations: {
        token_minutes: 7,
        refresh_days: 30,
        session_days: 365,
        account_days: 365,
        stale_seconds: 86_400,
        stale_remove_days: 30,
        open_ended_seconds: 900,
        idle_seconds: 120,
      },
      signing: { jwt_secret: '********', jwt_algorithm: 'HS256', jwt_rotate_days: 90 },
      delivery: {
        settings: {
          delivery_parallel: 4,
          delivery_attempts: 300,
          delivery_retry_seconds: 10,
          webhook_private: 'off',
          sealing_key: null,
        },
        targets: [],
      },
      host: null,
      port: null,
      username: null,
      password: null,
      directory: null,
    });
  }
});

test('an unset secret is null, and a request without a sign-in is refused', async (t) => {
  const { origin, client } = await startServer(t);
  const reply = await fetch(`${origin}/api/config`, { headers: client.headers });
  const { signing } = (await reply.json()) as { signing: Record<string, unknown> };
  assert.equal(signing.jwt_secret, null);
  await assertProblemReply(await fetch(`${origin}/api/config`), 'unauthorized');
});
