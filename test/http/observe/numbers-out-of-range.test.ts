/** Stored documents with numbers that are no longer accepted: their owners can sign in, lists work, and the log reports the corrections. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { pino } from 'pino';
import { seededFolder } from '../../support/product/identity.ts';
import { sign, startServer } from '../../support/product/server.ts';

test('the start corrects numbers out of range in stored documents and logs it', async (t) => {
  const maker = { id: 'gate', kind: 'device' } as const;
  const { dataDir, seeded } = await seededFolder(t, async ({ clients, apiTokens, shares }) => {
    const secret = 'the-secret-of-the-gate-of-this-test';
    await clients.create({ id: 'gate', secret, role: 'client', name: null });
    const token = await apiTokens.create({
      ...{ owner: { ...maker, tenant: 'default' }, name: null, scopes: ['files:read'], lifeMs: 60_000 },
    });
    const file = { id: 'f1', name: 'a', size: 1 };
    const terms = { password: null, lifeMs: 60_000, maxDownloads: 1 };
    const share = await shares.create({ tenant: 'default', owner: 'gate', file, maker, ...terms });
    return { token: token.document.id, share: share.document.id };
  });
  const change = async (id: string, more: object): Promise<void> => {
    const names = (await readdir(dataDir, { recursive: true })).filter((name) => name.endsWith('.json'));
    for (const name of names) {
      const path = join(dataDir, name);
      const document = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
      if (document.id === id || document.clientId === id)
        await writeFile(path, JSON.stringify({ ...document, ...more }));
    }
  };
  await change('gate', { quota: { bytes: 1e18, openUploads: -3, dayBytes: 'many' }, lastUsed: 1e30 });
  await change(seeded.token, { expiresAt: 1e18 });
  await change(seeded.share, { expiresAt: 1e300, downloads: 0.5 });
  let log = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString();
      done();
    },
  });
  const server = await startServer(
    t,
    { LADING_QUOTA_DAY_BYTES: '77777' },
    { log: pino({ level: 'warn' }, sink) },
    dataDir,
  );
  const { origin, admin, app } = server;
  const { headers } = sign(app, 'gate', 'client');
  for (const path of ['/api/clients', '/api/tokens', '/api/quotas/client/gate']) {
    const reply = await fetch(`${origin}${path}`, { headers: admin.headers });
    assert.equal(reply.status, 200, `${path}: ${await reply.clone().text()}`);
    assert.ok((await reply.text()).length > 2);
  }
  const quota = await (await fetch(`${origin}/api/quotas/client/gate`, { headers: admin.headers })).json();
  const { limits } = quota as { limits: Record<string, number | null> };
  assert.deepEqual([limits.open_uploads, limits.day_bytes], [10_000, 77_777], "the server's own limits count");
  const tokens = await (await fetch(`${origin}/api/tokens`, { headers })).text();
  assert.ok(tokens.includes(seeded.token), tokens);
  const text = log;
  for (const name of ['openUploads', 'dayBytes']) {
    assert.match(
      text,
      new RegExp(`\\\\"${name}\\\\" is .{1,40} which is not a limit; the server's own limit applies`),
      name,
    );
  }
  for (const name of ['bytes', 'lastUsed', 'expiresAt', 'downloads']) {
    assert.match(text, new RegExp(`\\\\"${name}\\\\" is .{1,40} which is not a count; \\d+ is used instead`), name);
  }
  assert.ok(!text.includes('was skipped'), text);
});
