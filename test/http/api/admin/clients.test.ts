import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientCreated, ClientList } from '../../../../src/protocol/schemas/identity/client.ts';
import { signIn, startServer } from '../../../support/product/server.ts';
import { assertProblemReply } from '../../../support/wire/wire.ts';

test('a client is created, listed, used and deleted', async (t) => {
  const { origin, admin } = await startServer(t);
  const json = { ...admin.headers, 'content-type': 'application/json' };
  const made = await fetch(`${origin}/api/clients`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ role: 'client', name: 'device 7' }),
  });
  assert.equal(made.status, 201);
  assert.equal(made.headers.get('cache-control'), 'no-store');
  const { client_id: id, client_secret: secret, role, message } = (await made.json()) as ClientCreated;
  assert.equal(role, 'client');
  assert.ok(message.length > 0);
  assert.equal(Buffer.from(secret, 'base64url').length, 32);

  const list = async (): Promise<ClientList> =>
    (await (await fetch(`${origin}/api/clients`, { headers: admin.headers })).json()) as ClientList;
  const before = await list();
  assert.equal(before.count, before.clients.length);
  const entry = before.clients.find((client) => client.client_id === id);
  assert.equal(entry?.last_used, null);
  assert.equal(entry?.name, 'device 7');
  assert.ok(!JSON.stringify(before).includes(secret));
  assert.ok(!JSON.stringify(before).includes('scrypt'));

  const { access_token: token } = await signIn(origin, id, secret);
  assert.equal((await fetch(`${origin}/api/files`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
  const used = (await list()).clients.find((client) => client.client_id === id)?.last_used;
  assert.match(used ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);

  const deleted = await fetch(`${origin}/api/clients/${id}`, { method: 'DELETE', headers: admin.headers });
  assert.equal(deleted.status, 200);
  assert.ok(((await deleted.json()) as { message: string }).message.includes(id));
  await assert.rejects(signIn(origin, id, secret), /401/);
  await assertProblemReply(
    await fetch(`${origin}/api/clients/${id}`, { method: 'DELETE', headers: admin.headers }),
    'not_found',
  );
});

test('clients and their last use survive a restart', async (t) => {
  const first = await startServer(t);
  const { client } = first;
  await signIn(first.origin, client.id, client.secret);
  await first.close();
  const second = await startServer(t, {}, {}, first.dataDir);
  assert.ok((await signIn(second.origin, client.id, client.secret)).access_token);
  const known = second.app.server.jwt.decode<{ iss: string }>(client.token);
  assert.equal(known?.iss, 'lading');
  const reply = await fetch(`${second.origin}/api/files`, { headers: client.headers });
  assert.equal(reply.status, 200, 'a token stays valid, because the key is stored');
});

test('a token with only clients:admin creates and deletes clients, but none with a higher role', async (t) => {
  const { origin, admin, enrol } = await startServer(t);
  const json = { 'content-type': 'application/json' };
  const made = await fetch(`${origin}/api/tokens`, {
    method: 'POST',
    headers: { ...admin.headers, ...json },
    body: JSON.stringify({ scopes: ['clients:admin'] }),
  });
  const { token } = (await made.json()) as { token: string };
  const authorization = `Bearer ${token}`;
  const create = (role: string): Promise<Response> =>
    fetch(`${origin}/api/clients`, {
      method: 'POST',
      headers: { authorization, ...json },
      body: JSON.stringify({ role }),
    });
  for (const role of ['ops', 'admin', 'root']) await assertProblemReply(await create(role), 'insufficient_scope');
  const reply = await create('client');
  assert.equal(reply.status, 201);
  const { client_id: id } = (await reply.json()) as ClientCreated;
  const remove = (client: string): Promise<Response> =>
    fetch(`${origin}/api/clients/${client}`, { method: 'DELETE', headers: { authorization } });
  await assertProblemReply(await remove((await enrol('ops')).id), 'not_found');
  assert.equal((await remove(id)).status, 200);
});
