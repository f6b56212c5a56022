/** Information about the whole server is for root or, with a single tenant, for its administrators. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededFolder } from '../../support/product/identity.ts';
import { sign, startServer } from '../../support/product/server.ts';

const VIEWS = [
  ['GET', '/metrics', 'ops'],
  ['GET', '/api/history', 'ops'],
  ['POST', '/api/sweep', 'admin'],
] as const;

test('with several tenants only root sees the numbers of the whole server and starts its sweep', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    const secret = 'a-secret-of-this-test-that-is-long';
    await identity.clients.create({ id: 'root', secret, role: 'root', name: null });
    await identity.createTenant('acme', 'Acme');
    for (const role of ['ops', 'admin'] as const) {
      await identity.clients.create({ id: `acme-${role}`, secret, role, name: null, tenant: 'acme' });
    }
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { app, origin, admin, enrol } = server;
  const ops = await enrol('ops');
  const theirs = [sign(app, 'acme-ops', 'ops'), sign(app, 'acme-admin', 'admin')];
  const root = sign(app, 'root', 'root');
  for (const [method, path] of VIEWS) {
    for (const { headers } of [...theirs, ops, admin]) {
      const reply = await fetch(`${origin}${path}`, { method, headers });
      assert.equal(reply.status, 403, path);
    }
    assert.equal((await fetch(`${origin}${path}`, { method, headers: root.headers })).status, 200, path);
  }
  const basic = Buffer.from(`${admin.id}:${admin.secret}`).toString('base64');
  const scrape = await fetch(`${origin}/metrics`, { headers: { authorization: `Basic ${basic}` } });
  assert.equal(scrape.status, 403);
});

test('with one tenant its administrator sees the whole server', async (t) => {
  const { origin, admin, client, enrol } = await startServer(t);
  const ops = await enrol('ops');
  for (const [method, path, least] of VIEWS) {
    const statusOf = async (headers: Record<string, string>) =>
      (await fetch(`${origin}${path}`, { method, headers })).status;
    assert.equal(await statusOf(admin.headers), 200);
    assert.equal(await statusOf(ops.headers), least === 'ops' ? 200 : 403);
    assert.equal(await statusOf(client.headers), 403);
  }
});
