import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { AuditPage, AuditRecord } from '../../../src/protocol/schemas/audit.ts';
import { ask } from '../../support/product/api-tokens.ts';
import { addPerson, seededFolder } from '../../support/product/identity.ts';
import { type Account, sign, signIn, startServer, type TestServer } from '../../support/product/server.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

async function auditOf({ origin }: TestServer, who: Account, query = ''): Promise<AuditPage> {
  const reply = await fetch(`${origin}/api/audit${query}`, { headers: who.headers });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('cache-control'), 'no-store');
  return (await reply.json()) as AuditPage;
}

const brief = ({ action, outcome, principal, target, detail }: AuditRecord) => [
  action,
  outcome,
  principal,
  target,
  detail,
];

const json = { 'content-type': 'application/json' };

test('the audit log records creations, sign-ins, deletions and refusals', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  await signIn(origin, client.id, client.secret);
  await assert.rejects(signIn(origin, client.id, 'a-wrong-secret'));
  await assert.rejects(signIn(origin, 'my-password-by-mistake', 'x'));
  const upload = await fetch(`${origin}/api/files/upload?filename=a/b.bin&total_size=5`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, Buffer.from('hello')),
  });
  assert.equal(upload.status, 200);
  await fetch(`${origin}/api/files/a%2Fb.bin`, { method: 'DELETE', headers: client.headers });
  await fetch(`${origin}/api/clients?x=secret-in-query`, { headers: client.headers });
  await fetch(`${origin}/api/clients/${client.id}`, { method: 'DELETE', headers: admin.headers });
  const { entries, next_cursor } = await auditOf(server, admin);
  assert.equal(next_cursor, null);
  assert.deepEqual(entries.map(brief).reverse(), [
    ['client_created', 'ok', admin.id, client.id, 'role: none → client'],
    ['sign_in', 'ok', client.id, null, null],
    ['sign_in', 'refused', null, client.id, 'unauthorized: POST /auth/token'],
    ['file_deleted', 'ok', client.id, 'a/b.bin', null],
    ['refusal', 'refused', client.id, '/api/clients', 'insufficient_scope: GET /api/clients'],
    ['client_deleted', 'ok', admin.id, client.id, 'role: client → none'],
  ]);
  const made = entries.at(-1);
  assert.ok(made);
  assert.deepEqual(Object.keys(made), [
    'time',
    'action',
    'outcome',
    'principal',
    'kind',
    'tenant',
    'address',
    'target',
    'detail',
    'request_id',
    'count',
  ]);
  assert.equal(made.kind, 'device');
  assert.equal(made.tenant, 'default');
  assert.equal(made.address, '127.0.0.1');
  assert.ok(Math.abs(Date.parse(made.time) - Date.now()) < 60_000);
});

test('an entry is durable before the answer is sent, and contains no secret', async (t) => {
  const server = await startServer(t);
  const { origin, admin, dataDir } = server;
  const folder = join(dataDir, 'v1', 'audit');
  const text = async (): Promise<string> => {
    const files = await readdir(folder);
    return (await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))).join('');
  };
  const made = await fetch(`${origin}/api/clients`, {
    method: 'POST',
    headers: { ...admin.headers, ...json },
    body: JSON.stringify({ role: 'ops' }),
  });
  const { client_id: id, client_secret: secret } = (await made.json()) as Record<string, string>;
  assert.ok(id && secret);
  assert.match(await text(), new RegExp(`"client_created".*"target":"${id}"`));
  const { access_token: token } = await signIn(origin, id, secret);
  assert.match(await text(), new RegExp(`"sign_in".*"principal":"${id}"`));
  await assert.rejects(signIn(origin, secret, secret));
  await fetch(`${origin}/api/files?token=${token}`);
  await server.close();
  const stored = await text();
  assert.match(stored, /"outcome":"refused"/);
  assert.ok(!stored.includes(secret));
  assert.ok(!stored.includes(token));
});

test('an invalid refresh token and a full quota count as refusals, a malformed request does not', async (t) => {
  const server = await startServer(t, { LADING_QUOTA_BYTES: '10' });
  const { origin, admin, client } = server;
  const authorization = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`;
  const grant = async (fields: Record<string, string>, error: string): Promise<void> => {
    const body = new URLSearchParams(fields);
    const reply = await fetch(`${origin}/api/oauth/token`, { method: 'POST', headers: { authorization }, body });
    assert.equal(((await reply.json()) as { error: string }).error, error);
  };
  await grant({ grant_type: 'refresh_token', refresh_token: 'worthless' }, 'invalid_grant');
  await grant({ grant_type: 'dance' }, 'unsupported_grant_type');
  const upload = await fetch(`${origin}/api/files/upload?filename=f&total_size=11`, {
    method: 'POST',
    headers: { ...client.headers, 'content-type': 'application/octet-stream' },
    body: encodeChunk(0, Buffer.from('hello world')),
  });
  await assertProblemReply(upload, 'quota_exceeded');
  const { entries } = await auditOf(server, admin);
  const refused = entries
    .filter(({ outcome }) => outcome === 'refused')
    .map(({ principal, detail }) => [principal, detail]);
  assert.deepEqual(refused, [
    [client.id, 'quota_exceeded: POST /api/files/upload'],
    [client.id, 'invalid_request: POST /api/oauth/token'],
  ]);
});

test('many refusals become a few entries with a count', async (t) => {
  const server = await startServer(t);
  const { origin, admin } = server;
  for (let n = 0; n < 30; n += 1) assert.equal((await fetch(`${origin}/api/files/status/${n}`)).status, 401);
  const { entries } = await auditOf(server, admin, '?action=refusal');
  assert.equal(entries.length, 1);
  assert.equal(entries[0]?.target, '/api/files/status/0');
});

test('reading the metrics with Basic counts as a sign-in, with a token it does not', async (t) => {
  const server = await startServer(t);
  const { origin, admin } = server;
  const basic = `Basic ${Buffer.from(`${admin.id}:${admin.secret}`).toString('base64')}`;
  assert.equal((await fetch(`${origin}/metrics`, { headers: admin.headers })).status, 200);
  assert.equal((await fetch(`${origin}/metrics`, { headers: { authorization: basic } })).status, 200);
  const { entries } = await auditOf(server, admin, '?action=sign_in');
  assert.deepEqual(entries.map(brief), [['sign_in', 'ok', admin.id, null, null]]);
});

test('the audit log has pages and filters, and refuses an invalid cursor', async (t) => {
  const server = await startServer(t);
  const { origin, admin, enrol } = server;
  const ids = [server.client.id];
  for (let n = 0; n < 4; n += 1) ids.push((await enrol()).id);
  const seen: (string | null)[] = [];
  let cursor: string | null = null;
  do {
    const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: AuditPage = await auditOf(server, admin, `?limit=2&action=client_created${after}`);
    seen.push(...page.entries.map(({ target }) => target));
    cursor = page.next_cursor;
  } while (cursor !== null);
  assert.deepEqual(seen, ids.reverse());
  assert.deepEqual((await auditOf(server, admin, '?principal=nobody')).entries, []);
  const refused = (query: string) => fetch(`${origin}/api/audit${query}`, { headers: admin.headers });
  await assertProblemReply(await refused('?cursor=x'), 'invalid_request');
  await assertProblemReply(await refused('?action=x'), 'invalid_request');
  await assertProblemReply(await refused('?limit=0'), 'invalid_request');
});

test('administrators see their own tenant and entries without a principal, others see nothing', async (t) => {
  const server = await startServer(t);
  const { origin, admin, client } = server;
  await assertProblemReply(await fetch(`${origin}/api/audit`, { headers: client.headers }), 'insufficient_scope');
  await assertProblemReply(await fetch(`${origin}/api/audit`), 'unauthorized');
  await assertProblemReply(await fetch(`${origin}/api/audit?tenant=other`, { headers: admin.headers }), 'forbidden');
  const { entries } = await auditOf(server, admin, '?action=refusal');
  assert.deepEqual(
    entries.map(({ tenant }) => tenant),
    ['default', null, 'default'],
  );
});

test('root sees all tenants together, in pages, or one of them', async (t) => {
  const { dataDir } = await seededFolder(t, async ({ clients, tenants }) => {
    await tenants.create('acme', 'Acme');
    await clients.create({ id: 'top', secret: 'the-secret-of-a-root', role: 'root', name: null });
    const boss = { id: 'boss', secret: 'the-secret-of-the-boss', role: 'admin', name: null, tenant: 'acme' } as const;
    await clients.create(boss);
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { origin, admin, client, app } = server;
  const as = (id: string, role: 'root' | 'admin'): Account => ({ id, secret: '', ...sign(app, id, role) });
  const [top, boss] = [as('top', 'root'), as('boss', 'admin')];
  const enrolled = await fetch(`${origin}/api/clients`, {
    method: 'POST',
    headers: { ...boss.headers, ...json },
    body: JSON.stringify({ role: 'client' }),
  });
  const { client_id: device } = (await enrolled.json()) as { client_id: string };
  await fetch(`${origin}/api/clients/${device}`, { headers: boss.headers, method: 'DELETE' });
  await fetch(`${origin}/api/files`);
  const seen = async (who: Account, query = ''): Promise<(string | null)[][]> =>
    (await auditOf(server, who, query)).entries.map(({ tenant, action, target }) => [tenant, action, target]).reverse();

  // The directory already had a root, so the administrator of the settings is a second one.
  const ours = [
    ['default', 'client_created', admin.id],
    ['default', 'client_created', client.id],
  ];
  const acmes = [
    ['acme', 'client_created', device],
    ['acme', 'client_deleted', device],
  ];
  const nobodys = [[null, 'refusal', '/api/files']];
  assert.deepEqual(await seen(top), [...ours, ...acmes, ...nobodys]);
  assert.deepEqual(await seen(top, '?tenant=acme'), acmes);
  assert.deepEqual(await seen(top, '?tenant=default'), [...ours, ...nobodys]);
  assert.deepEqual(await seen(top, '?action=client_created'), [...ours, ...acmes.slice(0, 1)]);
  assert.deepEqual(await seen(top, '?principal=boss'), acmes);
  assert.deepEqual(await seen(boss), acmes);
  assert.deepEqual(await seen(boss, '?principal=test-admin'), [], 'nothing of another tenant by asking for its people');
  assert.deepEqual(await seen(admin), [...ours, ...nobodys]);
  await assertProblemReply(await fetch(`${origin}/api/audit?tenant=default`, { headers: boss.headers }), 'forbidden');

  const paged: (string | null)[] = [];
  let cursor: string | null = null;
  do {
    const after: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: AuditPage = await auditOf(server, top, `?limit=1${after}`);
    paged.push(...page.entries.map(({ tenant }) => tenant));
    cursor = page.next_cursor;
  } while (cursor !== null);
  // Newest first, beginning with the refusal of the administrator of acme.
  assert.deepEqual(paged, ['acme', null, 'acme', 'acme', 'default', 'default']);
});

test('an entry belongs to the tenant of its target', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    await identity.tenants.create('acme', 'Acme');
    await identity.clients.create({ id: 'root', secret: 'the-secret-of-root', role: 'root', name: null });
    await identity.clients.create({ id: 'wile', secret: 'x'.repeat(32), role: 'client', name: null, tenant: 'acme' });
    return { ada: await addPerson(identity, 'ada@acme.example', 'client', 'acme') };
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { app, origin, client } = server;
  const { headers } = sign(app, 'root', 'root');
  const { ada } = seeded;
  const done = async (method: string, path: string, body?: object) => {
    const reply = await ask(origin, method, path, headers, body);
    assert.ok(reply.ok, `${method} ${path}: ${await reply.clone().text()}`);
    return (await reply.json()) as Record<string, string>;
  };
  const { token_id: id } = await done('POST', '/api/tokens', { user_id: 'wile' });
  await done('POST', `/api/tokens/${id}/rotate`);
  await done('DELETE', `/api/tokens/${id}`);
  await done('PUT', '/api/quotas/client/wile', { bytes: 7 });
  await done('PUT', '/api/quotas/tenant/acme', { bytes: 7 });
  await done('PUT', `/v1/user/update_user?pk=${ada}`, { name: 'Eve' });
  await done('DELETE', `/v1/user/delete_user?pk=${ada}`);
  await done('DELETE', '/api/clients/wile');
  const { client_id: made } = await done('POST', '/api/clients?tenant=acme', { role: 'client' });
  await done('DELETE', `/api/clients/${client.id}`);
  await done('DELETE', `/api/clients/${made}`);
  const refused = await ask(origin, 'DELETE', '/api/tenants/default?tenant=acme', client.headers);
  assert.equal(refused.status, 401);
  const lesser = sign(app, 'root', 'root', 'device', 'files:read').headers;
  assert.equal((await ask(origin, 'GET', '/api/clients?tenant=acme', lesser)).status, 403);

  const root = { ...client, headers };
  const { entries } = await auditOf(server, root, '?tenant=acme');
  assert.deepEqual(entries.map(({ action, target }) => [action, target]).reverse(), [
    ['token_created', id],
    ['token_rotated', id],
    ['token_revoked', id],
    ['quota_set', 'client/wile'],
    ['quota_set', 'tenant/acme'],
    ['user_updated', ada],
    ['user_deleted', ada],
    ['client_deleted', 'wile'],
    ['client_created', made],
    ['client_deleted', made],
  ]);
  const own = await auditOf(server, root, '?tenant=default');
  assert.ok(own.entries.some(({ action, target }) => action === 'client_deleted' && target === client.id));
  assert.ok(own.entries.some(({ action, principal }) => action === 'refusal' && principal === 'root'));
});
