/** The end of share links, and restarts. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { type IncomingMessage, get as request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import type { ShareCreated } from '../../../src/protocol/schemas/share.ts';
import { eventually } from '../../support/eventually.ts';
import { clockOf } from '../../support/product/clock.ts';
import { seededFolder } from '../../support/product/identity.ts';
import { ask, PASSWORD } from '../../support/product/people.ts';
import { sign, signIn, startServer } from '../../support/product/server.ts';
import { put } from '../../support/wire/downloads.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';
import { alphabet, basic, listed, made, share, told, use } from './shares-setup.ts';

test('revoking a link ends its running download', async (t) => {
  const server = await startServer(t);
  const size = 64 * 1024 * 1024;
  await put(server, 'large', 0, Buffer.alloc(size, 7), { total_size: String(size) });
  const { url, share_id } = await made(server, {}, 'large');
  const [answer] = (await once(request(url), 'response')) as [IncomingMessage];
  const { origin, client } = server;
  assert.equal(
    (await ask(origin, `/api/shares/${share_id}`, { method: 'DELETE', headers: client.headers })).status,
    200,
  );
  const cut = once(answer, 'error');
  let got = 0;
  answer.on('data', (piece: Buffer) => {
    got += piece.length;
  });
  await cut;
  assert.ok(got < size);
});

test('a link ends for good when its file is deleted or replaced', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  await alphabet(server);
  await alphabet(server, 'b.txt');
  const one = await made(server);
  const two = await made(server, {}, 'b.txt');
  assert.equal((await ask(origin, '/api/files/a.txt', { method: 'DELETE', headers: client.headers })).status, 200);
  await alphabet(server);
  await put(server, 'b.txt', 0, Buffer.from('other'), { total_size: '5', overwrite: 'true' });
  for (const { url } of [one, two]) await assertProblemReply(await use(url), 'not_found');
  const documents = (): Promise<string[]> => readdir(join(server.dataDir, 'v1/shares'));
  await eventually(async () => (await documents()).length === 0, 'the end of the links');
});

test('a link expires and is swept', async (t) => {
  let now = Date.now();
  const server = await startServer(t, {}, { clock: clockOf(() => now) });
  await alphabet(server);
  const { url } = await made(server, { expires_in: 60 });
  now += 59_000;
  assert.equal(await told(url, '0-0'), '206 a');
  now += 1_000;
  await assertProblemReply(await use(url), 'not_found');
  assert.deepEqual(await listed(server, server.client), []);
});

test('a link ends when its creator loses the right to read the file', async (t) => {
  const { dataDir } = await seededFolder(t, async (identity) => {
    for (const role of ['admin', 'ops'] as const) {
      await identity.clients.create({ id: role, secret: `the-secret-of-${role}`, role, name: null });
    }
  });
  const server = await startServer(t, {}, {}, dataDir);
  const { app, origin, client, admin } = server;
  await alphabet(server);
  const query = `?owner=${client.id}`;
  const links: ShareCreated[] = [];
  for (const role of ['admin', 'ops'] as const) {
    const reply = await share(server, sign(app, role, role), 'a.txt', {}, query);
    assert.equal(reply.status, 201);
    links.push((await reply.json()) as ShareCreated);
  }
  const [byAdmin, byOps] = links;
  for (const { url } of links) assert.equal(await told(url, '0-0'), '206 a');
  const gone = await ask(origin, '/api/clients/admin', { method: 'DELETE', headers: admin.headers });
  assert.equal(gone.status, 200);
  assert.equal(await told(byAdmin?.url ?? ''), '404 not_found');
  assert.equal(await told(byOps?.url ?? '', '0-0'), '206 a');
  const own = await made(server);
  assert.equal(
    (await ask(origin, `/api/clients/${client.id}`, { method: 'DELETE', headers: admin.headers })).status,
    200,
  );
  for (const url of [byOps?.url ?? '', own.url]) assert.equal(await told(url), '404 not_found');
});

test('links of a former administrator to the files of others end', async (t) => {
  const server = await startServer(t);
  const { origin, client, admin, app } = server;
  await alphabet(server);
  const body = { name: 'Ada', surname: 'Byron', email: 'ada@x.example', password: PASSWORD, role: 'ops' };
  const { id } = (await (await ask(origin, '/v1/user', { headers: admin.headers, body })).json()) as { id: string };
  const reply = await share(server, sign(app, id, 'ops', 'person'), 'a.txt', {}, `?owner=${client.id}`);
  const { url } = (await reply.json()) as ShareCreated;
  assert.equal(await told(url, '0-0'), '206 a');
  const change = { method: 'PUT', headers: admin.headers, body: { role: 'client' } };
  assert.equal((await ask(origin, `/v1/user/update_user?pk=${id}`, change)).status, 200);
  assert.equal(await told(url), '404 not_found');
});

test('links made with an API token or with reduced scopes end with that credential', async (t) => {
  const server = await startServer(t);
  const { origin, client, app } = server;
  await alphabet(server);
  const body = { scopes: ['read'] };
  const token = (await (await ask(origin, '/api/tokens', { headers: client.headers, body })).json()) as Record<
    'token' | 'token_id',
    string
  >;
  const byToken = await made(server, {}, 'a.txt', { headers: { authorization: `Bearer ${token.token}` } });
  const form = new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' });
  const headers = { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}` };
  const granted = await fetch(`${origin}/api/oauth/token`, { method: 'POST', headers, body: form });
  const less = { authorization: `Bearer ${((await granted.json()) as { access_token: string }).access_token}` };
  const bySignIn = await made(server, {}, 'a.txt', { headers: less });
  for (const { url } of [byToken, bySignIn]) assert.equal(await told(url, '0-0'), '206 a');
  assert.equal(
    (await ask(origin, `/api/tokens/${token.token_id}`, { method: 'DELETE', headers: client.headers })).status,
    200,
  );
  assert.equal((await ask(origin, '/logout', { headers: less })).status, 200);
  for (const { url } of [byToken, bySignIn]) assert.equal(await told(url), '404 not_found');
  const nameless = sign(app, client.id, 'client', 'device', 'files:read');
  await assertProblemReply(await share(server, nameless, 'a.txt'), 'insufficient_scope');
  const writes = sign(app, client.id, 'client', 'device', 'files:write');
  await assertProblemReply(await share(server, writes, 'a.txt'), 'insufficient_scope');
  // The end of a session with the full role does not end links.
  const { access_token } = await signIn(origin, client.id, client.secret);
  const whole = { authorization: `Bearer ${access_token}` };
  const lasting = await made(server, {}, 'a.txt', { headers: whole });
  assert.equal((await ask(origin, '/logout', { headers: whole })).status, 200);
  assert.equal(await told(lasting.url, '0-0'), '206 a');
});

test('links, passwords and counts survive a restart', async (t) => {
  const { dataDir } = await seededFolder(t, async () => {});
  const before = await startServer(t, {}, {}, dataDir);
  await alphabet(before);
  const limited = await made(before, { max_downloads: 1, password: PASSWORD });
  const revoked = await made(before);
  const path = `/api/shares/${revoked.share_id}`;
  assert.equal((await ask(before.origin, path, { method: 'DELETE', headers: before.client.headers })).status, 200);
  const first = await use(limited.url, { ...basic(PASSWORD), range: 'bytes=0-19' });
  assert.equal(await first.text(), 'abcdefghijklmnopqrst');
  await before.close();

  const { origin } = await startServer(t, {}, {}, dataDir);
  const url = `${origin}/s/${limited.token}`;
  assert.equal((await use(url)).status, 401);
  const rest = await use(url, { ...basic(PASSWORD), range: 'bytes=20-' });
  assert.equal(await rest.text(), 'uvwxyz');
  await assertProblemReply(await use(url, basic(PASSWORD)), 'not_found');
  await assertProblemReply(await use(`${origin}/s/${revoked.token}`), 'not_found');
});

test('neither the data directory nor the log contains the token of a link', async (t) => {
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const { dataDir } = await seededFolder(t, async () => {});
  const server = await startServer(t, {}, { log }, dataDir);
  await alphabet(server);
  const { url, token } = await made(server, { password: PASSWORD, max_downloads: 5 });
  assert.equal((await use(url, basic(PASSWORD))).status, 200);
  await use(url, basic('another password of nobody'));
  const { origin } = server;
  const odd = [
    `${origin}/S/${token}`,
    `${origin}//s/${token}`,
    `${origin}/%73/${token}`,
    `${url}/x`,
    `${origin}/api/files/${token}`,
  ];
  for (const one of odd) await (await fetch(one)).arrayBuffer();
  await (await use(url, {}, 'DELETE')).arrayBuffer();
  await (await use(`${origin}/s/${token.replace('_', '%5F')}`)).arrayBuffer();
  await server.close();
  const secret = token.slice(-43);
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
  let files = 0;
  for (const entry of entries.filter((one) => one.isFile())) {
    files += 1;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    for (const form of [secret, PASSWORD]) assert.ok(!bytes.includes(form), `${entry.name} holds ${form}`);
  }
  assert.ok(files > 5);
  const text = lines.join('');
  assert.ok(text.includes('/s/…'));
  for (const form of [secret, PASSWORD]) assert.ok(!text.includes(form));
});
