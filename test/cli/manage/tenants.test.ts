/** `lading tenants` */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCommandLine } from '../../support/product/admin-command-line.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { sign, signIn } from '../../support/product/server.ts';

test('root creates, lists and deletes tenants and their clients', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    await identity.clients.create({ id: 'top', secret: 'the-secret-of-a-root', role: 'root', name: null });
  });
  const { server, lading, json } = await startCommandLine(t, dataDir);
  const top = sign(server.app, 'top', 'root').token;
  const created = await json(['tenants', 'create', 'acme', '--name', 'Acme Corp.'], top);
  assert.deepEqual([created.tenant_id, created.name], ['acme', 'Acme Corp.']);
  assert.equal((await lading(['tenants', 'create', 'acme'], top)).code, 5);
  const { tenants } = await json(['tenants', 'list'], top);
  assert.deepEqual(
    (tenants as { tenant_id: string }[]).map(({ tenant_id: id }) => id),
    ['default', 'acme'],
  );
  assert.equal((await lading(['tenants', 'list'])).code, 3, 'administrators of one tenant may not list tenants');

  const boss = await json(['clients', 'create', '--tenant', 'acme', '--role', 'admin'], top);
  const { access_token: token } = await signIn(server.origin, String(boss.client_id), String(boss.client_secret));
  const { clients } = await json(['clients', 'list'], token);
  assert.deepEqual(
    (clients as { client_id: string }[]).map(({ client_id: id }) => id),
    [boss.client_id],
  );
  assert.deepEqual(await json(['clients', 'list', '--tenant', 'acme'], top), { clients });
  assert.equal((await lading(['clients', 'list', '--tenant', 'acme'])).code, 3);
  const ops = await json(['clients', 'create', '--role', 'ops'], token);
  assert.equal(ops.role, 'ops');
  assert.equal((await lading(['clients', 'create', '--role', 'root'], token)).code, 3);

  assert.deepEqual(await json(['tenants', 'delete', 'acme'], top), { deleted: 'acme' });
  assert.equal((await lading(['ls'], token)).code, 3);
  assert.equal((await lading(['tenants', 'delete', 'acme'], top)).code, 4);
});
