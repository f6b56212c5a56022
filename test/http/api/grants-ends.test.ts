/** Grants: tenants, and the end of grants. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, get as request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAccount } from '../../../src/identity/accounts.ts';
import type { Grant, GrantList } from '../../../src/protocol/schemas/grant.ts';
import { eventually } from '../../support/eventually.ts';
import { clockOf } from '../../support/product/clock.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { ask, PASSWORD } from '../../support/product/people.ts';
import { sign, startServer, type TestServer } from '../../support/product/server.ts';
import { ALPHABET, put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { BOTH, grant, granted, NEITHER, names, of, type Who, waysTo } from './grants-setup.ts';

function revoke({ origin }: TestServer, { grant_id }: Grant, { headers }: Who): Promise<Response> {
  return ask(origin, `/api/grants/${grant_id}`, { method: 'DELETE', headers: { ...headers } });
}

async function grantsOf({ origin }: TestServer, { headers }: Who, query = ''): Promise<GrantList> {
  const reply = await ask(origin, `/api/grants${query}`, { headers: { ...headers } });
  assert.equal(reply.status, 200);
  return (await reply.json()) as GrantList;
}

/** The only document of a collection, with its path. */
async function documentIn(folder: string): Promise<{ path: string; value: Record<string, unknown> }> {
  const [name = '', ...more] = await readdir(folder);
  assert.equal(more.length, 0);
  const path = join(folder, name);
  return { path, value: JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown> };
}

test('owner and grantee list a grant, and only they and administrators revoke it', async (t) => {
  const server = await startServer(t);
  const { client, admin } = server;
  const other = await server.enrol();
  const third = await server.enrol();
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  const one = await granted(server, { filename: 'a', grantee: other.id });
  assert.deepEqual(await grantsOf(server, client), { given: [one], received: [] });
  assert.deepEqual(await grantsOf(server, other), { given: [], received: [one] });
  assert.deepEqual(await grantsOf(server, third), { given: [], received: [] });
  assert.deepEqual(await grantsOf(server, admin, `?owner=${client.id}`), { given: [one], received: [] });
  await assertProblemReply(await revoke(server, one, third), 'not_found');
  assert.equal((await revoke(server, one, client)).status, 200);
  assert.deepEqual(await waysTo(server, 'a', other), NEITHER);
  await assertProblemReply(await revoke(server, one, client), 'not_found');
  const two = await granted(server, { filename: 'a', grantee: other.id });
  assert.equal((await revoke(server, two, other)).status, 200);
  const three = await granted(server, { prefix: 'a', grantee: other.id }, admin, `?owner=${client.id}`);
  assert.equal(three.created_by, admin.id);
  // Neither the owner nor the grantee sees the id of an administrator.
  assert.deepEqual((await grantsOf(server, client)).given, [{ ...three, created_by: null }]);
  assert.deepEqual((await grantsOf(server, other)).received, [{ ...three, created_by: null }]);
  assert.deepEqual(await waysTo(server, 'a', other), BOTH);
  assert.equal((await revoke(server, three, admin)).status, 200);
  assert.deepEqual(await waysTo(server, 'a', other), NEITHER);
  const page = await (await ask(server.origin, '/api/audit', { headers: admin.headers })).text();
  assert.match(page, new RegExp(`"action":"grant_created"[^}]*"target":"${one.grant_id}"`));
  assert.match(page, new RegExp(`"action":"grant_revoked"[^}]*"target":"${one.grant_id}"`));
  assert.match(page, /"action":"refusal"[^}]*forbidden: GET \/api\/files\/download/);
});

test('an invalid grant is refused and gives no access', async (t) => {
  const server = await startServer(t);
  const { client } = server;
  const other = await server.enrol();
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  await put(server, 'partial', 0, ALPHABET, { total_size: '52' });
  const cases: [object, Parameters<typeof assertProblemReply>[1]][] = [
    [{ grantee: other.id }, 'validation_failed'],
    [{ filename: 'a', prefix: 'a', grantee: other.id }, 'validation_failed'],
    [{ filename: 'a' }, 'validation_failed'],
    [{ filename: 'a', grantee: client.id }, 'validation_failed'],
    [{ filename: 'a', grantee: other.id, expires_in: 0 }, 'validation_failed'],
    [{ filename: 'none', grantee: other.id }, 'not_found'],
    [{ filename: 'partial', grantee: other.id }, 'not_complete'],
    [{ filename: '../a', grantee: other.id }, 'invalid_name'],
    [{ prefix: '', grantee: other.id }, 'invalid_name'],
    [{ prefix: 'a\n', grantee: other.id }, 'invalid_name'],
    [{ prefix: 'a'.repeat(1025), grantee: other.id }, 'invalid_name'],
    [{ filename: 'a', grantee: 'nobody' }, 'not_found'],
    [{ filename: 'a', grantee: `default/${other.id}` }, 'not_found'],
  ];
  for (const [body, code] of cases) await assertProblemReply(await grant(server, body), code);
  await granted(server, { filename: 'a', grantee: other.id });
  await assertProblemReply(await grant(server, { filename: 'a', grantee: other.id }), 'already_exists');
  await assertProblemReply(await grant(server, { filename: 'a', grantee: other.id }, other), 'not_found');
  const racing = await Promise.all(Array.from({ length: 4 }, () => grant(server, { prefix: 'x', grantee: other.id })));
  assert.deepEqual(racing.map(({ status }) => status).sort(), [201, 409, 409, 409]);
});

test('a grant to another tenant is refused', async (t) => {
  const { dataDir, seeded } = await seededFolder(t, async (identity) => {
    await identity.createTenant('acme', 'Acme');
    const account = await createAccount(identity, 'acme', 'client', { username: 'ada', password: PASSWORD });
    await identity.clients.create({
      id: 'acme-boss',
      secret: 'a secret of theirs',
      role: 'admin',
      name: null,
      tenant: 'acme',
    });
    await identity.clients.create({ id: 'root', secret: 'the secret of root', role: 'root', name: null });
    return { there: account.id };
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { app, client } = server;
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  const there = sign(app, seeded.there, 'client', 'person');
  await assertProblemReply(await grant(server, { filename: 'a', grantee: seeded.there }), 'not_found');
  const root = sign(app, 'root', 'root');
  await assertProblemReply(
    await grant(server, { filename: 'a', grantee: seeded.there }, root, `?owner=${client.id}`),
    'not_found',
  );
  const own = await granted(server, { prefix: 'a', grantee: 'acme-boss' }, there);
  assert.equal(own.grantee, 'acme-boss');
  assert.deepEqual(await waysTo(server, 'a', there), NEITHER);
  assert.deepEqual(
    await waysTo(server, 'a', sign(app, 'acme-boss', 'admin')),
    ['not_found', 200],
    'a name of their own tenant',
  );
  for (const owner of [`default/${client.id}`, `/${client.id}`]) {
    const reply = await fetch(`${server.origin}/api/files?owner=${encodeURIComponent(owner)}`, {
      headers: there.headers,
    });
    await assertProblemReply(reply, 'forbidden');
  }
});

test('a grant of a file survives its replacement and ends with its deletion', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const other = await server.enrol();
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  await granted(server, { filename: 'a', grantee: other.id });
  for (const text of ['other', 'third']) {
    await put(server, 'a', 0, Buffer.from(text), { total_size: '5', overwrite: 'true' });
    assert.equal(await (await of(server, '/api/files/download/a', other)).text(), text);
  }
  assert.equal((await ask(origin, '/api/files/a', { method: 'DELETE', headers: client.headers })).status, 200);
  assert.deepEqual(await waysTo(server, 'a', other), NEITHER);
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  assert.deepEqual(await waysTo(server, 'a', other), NEITHER, 'a new file of the same name is not granted');
  assert.deepEqual(await grantsOf(server, client), { given: [], received: [] });
  const documents = (): Promise<string[]> => readdir(join(server.dataDir, 'v1/grants'));
  await eventually(async () => (await documents()).length === 0, 'the end of the grant');
});

test('a grant expires, and ends with its grantee, its owner and its creator', async (t) => {
  let now = Date.now();
  const server = await startServer(t, {}, { clock: clockOf(() => now) });
  const { origin, client, admin } = server;
  const [other, third, boss] = [await server.enrol(), await server.enrol(), await server.enrol('admin')];
  await put(server, 'a', 0, ALPHABET, { total_size: '26' });
  await granted(server, { filename: 'a', grantee: other.id, expires_in: 60 });
  assert.deepEqual(await waysTo(server, 'a', other), BOTH);
  now += 60_000;
  assert.deepEqual(await waysTo(server, 'a', other), NEITHER);
  await granted(server, { filename: 'a', grantee: other.id });
  await granted(server, { prefix: 'a', grantee: third.id }, boss, `?owner=${client.id}`);
  assert.deepEqual(await waysTo(server, 'a', third), BOTH);
  const remove = async (id: string): Promise<void> => {
    const reply = await ask(origin, `/api/clients/${id}`, { method: 'DELETE', headers: admin.headers });
    assert.equal(reply.status, 200);
  };
  await remove(boss.id);
  assert.deepEqual(await waysTo(server, 'a', third), NEITHER);
  await remove(other.id);
  assert.deepEqual((await grantsOf(server, client)).given, []);
  await granted(server, { filename: 'a', grantee: third.id });
  assert.deepEqual(await waysTo(server, 'a', third), BOTH);
  await remove(client.id);
  assert.deepEqual(await waysTo(server, 'a', third), NEITHER);
});

test('revoking a grant ends its running downloads and status streams', async (t) => {
  const server = await startServer(t);
  const other = await server.enrol();
  const { port, client } = server;
  const size = 64 * 1024 * 1024;
  await put(server, 'large', 0, Buffer.alloc(size, 7), { total_size: String(size) });
  await put(server, 'open', 0, ALPHABET, { total_size: '52' });
  const all = [
    await granted(server, { filename: 'large', grantee: other.id }),
    await granted(server, { prefix: 'open', grantee: other.id }),
  ];
  const open = async (path: string, accept = '*/*'): Promise<IncomingMessage> => {
    const asked = request({ port, path, headers: { ...other.headers, accept } });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    assert.equal(answer.statusCode, 200);
    return answer;
  };
  const download = await open(`/api/files/download/large?owner=${client.id}`);
  const followed = await open(`/api/files/download/open?owner=${client.id}&follow=true`);
  const events = await open(`/api/files/status/open?owner=${client.id}`, 'text/event-stream');
  let told = '';
  events.setEncoding('utf8').on('data', (piece: string) => {
    told += piece;
  });
  await once(events, 'data');
  let got = '';
  followed.setEncoding('utf8').on('data', (piece: string) => {
    got += piece;
  });
  while (got.length < 26) await once(followed, 'data');
  for (const one of all) assert.equal((await revoke(server, one, client)).status, 200);
  const cut = [once(download, 'error'), once(followed, 'error'), once(events, 'end')];
  download.resume();
  await put(server, 'open', 26, ALPHABET);
  await Promise.all(cut);
  assert.equal(got, ALPHABET.toString());
  assert.doesNotMatch(told, /"bytes_received":52/);
});

test('grants and their revocation survive a restart', async (t) => {
  const { dataDir } = await seededFolder(t, async () => {});
  const before = await startServer(t, {}, {}, dataDir);
  const other = await before.enrol();
  for (const name of ['a', 'b', 'c/1']) await put(before, name, 0, ALPHABET, { total_size: '26' });
  const one = await granted(before, { filename: 'a', grantee: other.id });
  const two = await granted(before, { filename: 'b', grantee: other.id });
  const three = await granted(before, { prefix: 'c/', grantee: other.id });
  assert.equal((await revoke(before, two, before.client)).status, 200);
  await put(before, 'a', 0, Buffer.from('other'), { total_size: '5', overwrite: 'true' });
  await before.close();
  const again = await startServer(t, {}, {}, dataDir);
  const server = { ...again, client: before.client };
  assert.deepEqual(await grantsOf(server, other), { given: [], received: [one, three] });
  assert.deepEqual(await names(server, other), ['a', 'c/1']);
  assert.deepEqual(await waysTo(server, 'a', other), BOTH);
  assert.deepEqual(await waysTo(server, 'b', other), NEITHER);
});

test('after a crash, grants of deleted files end and grants of replaced files remain', async (t) => {
  const { dataDir } = await seededFolder(t, async () => {});
  const first = await startServer(t, {}, {}, dataDir);
  const other = await first.enrol();
  await put(first, 'a', 0, ALPHABET, { total_size: '26' });
  const { target: before } = await (async () => {
    await granted(first, { filename: 'a', grantee: other.id });
    return (await documentIn(join(dataDir, 'v1/grants'))).value;
  })();
  await put(first, 'a', 0, Buffer.from('other'), { total_size: '5', overwrite: 'true' });
  await first.close();
  // The state after a crash between the replacement of the file and the update of the grant.
  const { path, value } = await documentIn(join(dataDir, 'v1/grants'));
  assert.notDeepEqual(value.target, before);
  await writeFile(path, JSON.stringify({ ...value, target: before }));

  const second = await startServer(t, {}, {}, dataDir);
  const server = { ...second, client: first.client };
  assert.equal(await (await of(server, '/api/files/download/a', other)).text(), 'other');
  const link = await ask(second.origin, '/api/files/share/a', { method: 'POST', headers: first.client.headers });
  const { token } = (await link.json()) as { token: string };
  assert.equal(await (await fetch(`${second.origin}/s/${token}`)).text(), 'other');
  await second.close();
  // The state after a crash between the deletion of the file and the end of the grant.
  const { target } = (await documentIn(join(dataDir, 'v1/grants'))).value as { target: { fileId: string } };
  await rm(join(dataDir, 'v1/files', target.fileId.slice(0, 2), target.fileId), { recursive: true });

  const third = await startServer(t, {}, {}, dataDir);
  for (const kind of ['grants', 'shares']) assert.deepEqual(await readdir(join(dataDir, 'v1', kind)), []);
  await put({ ...third, client: first.client }, 'a', 0, ALPHABET, { total_size: '26' });
  assert.deepEqual(await waysTo({ ...third, client: first.client }, 'a', other), NEITHER);
  assert.equal((await fetch(`${third.origin}/s/${token}`)).status, 404);
});
