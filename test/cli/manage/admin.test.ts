import assert from 'node:assert/strict';
import { chown, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signIn, startServer, type TestServer } from '../../support/product/server.ts';
import { jsonLines, runCli, temporaryFolder } from '../../support/servers/processes.ts';

interface Setup {
  server: TestServer;
  dataDir: string;
  reset: (args?: readonly string[], env?: Record<string, string>) => ReturnType<typeof runCli>;
  /** The JSON result of a successful reset. */
  done: (args?: readonly string[]) => Promise<Record<string, string>>;
}

/** Starts and stops a server. */
async function setUp(t: TestContext): Promise<Setup> {
  const server = await startServer(t);
  await server.close();
  const { dataDir } = server;
  const reset: Setup['reset'] = (args = [], env = {}) =>
    runCli(t, ['admin', 'reset', '--data-dir', dataDir, ...args], { env });
  const done: Setup['done'] = async (args = []) => {
    const { code, stdout, stderr } = await reset([...args, '--json']);
    assert.equal(code, 0, stderr + stdout);
    const [value, ...more] = jsonLines(stdout);
    assert.ok(value !== undefined && more.length === 0, stdout);
    return value as Record<string, string>;
  };
  return { server, dataDir, reset, done };
}

/** The status of a list of clients, which only administrators may request. */
async function listClients(origin: string, id = '', secret = ''): Promise<number> {
  const { access_token: token } = await signIn(origin, id, secret);
  return (await fetch(`${origin}/api/clients`, { headers: { authorization: `Bearer ${token}` } })).status;
}

test('admin reset creates another administrator and shows its secret once', async (t) => {
  const { server, dataDir, reset, done } = await setUp(t);
  const created = await done();
  assert.deepEqual([created.role, created.created], ['admin', true]);
  const text = await reset(['--role', 'root', '--id', 'top']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /^client id +top$/m);
  const [, secret = ''] = /^client secret +(\S{43})$/m.exec(text.stdout) ?? [];
  assert.match(text.stdout, /not shown again/);

  const { origin, client, admin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await listClients(origin, created.client_id, created.client_secret), 200);
  const { access_token: top } = await signIn(origin, 'top', secret);
  const headers = { authorization: `Bearer ${top}` };
  assert.equal((await fetch(`${origin}/api/tenants`, { headers })).status, 200);
  assert.equal(await listClients(origin, admin.id, admin.secret), 200, 'other administrators are unchanged');
  assert.notEqual(client.id, server.client.id);
  const audit = await (await fetch(`${origin}/api/audit?action=client_created`, { headers })).text();
  assert.ok(audit.includes(created.client_id ?? '-') && audit.includes('admin reset'), audit);
  assert.ok(!audit.includes(secret) && !audit.includes(created.client_secret ?? '-'));
});

test('admin reset --id replaces the secret of an administrator and ends its sessions and tokens', async (t) => {
  const { dataDir, done } = await setUp(t);
  const first = await done(['--id', 'boss']);
  const server = await startServer(t, {}, {}, dataDir);
  const oauth = (form: Record<string, string>): Promise<Response> =>
    fetch(`${server.origin}/api/oauth/token`, { method: 'POST', body: new URLSearchParams(form) });
  const granted = await oauth({
    grant_type: 'client_credentials',
    client_id: 'boss',
    client_secret: first.client_secret ?? '',
  });
  const { refresh_token: refresh, access_token: access } = (await granted.json()) as Record<string, string>;
  assert.ok(refresh && access);
  const { access_token: simple } = await signIn(server.origin, 'boss', first.client_secret ?? '');
  const created = await fetch(`${server.origin}/api/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${simple}` },
  });
  const { token: api = '' } = (await created.json()) as Record<string, string>;
  await server.close();

  const second = await done(['--id', 'boss']);
  assert.deepEqual([second.client_id, second.role, second.created], ['boss', 'admin', false]);
  assert.notEqual(second.client_secret, first.client_secret);
  const { origin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await listClients(origin, 'boss', second.client_secret), 200);
  await assert.rejects(signIn(origin, 'boss', first.client_secret ?? ''), /401/);
  const renewed = await fetch(`${origin}/api/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refresh }),
  });
  assert.notEqual(renewed.status, 200);
  for (const token of [access, simple, api]) {
    const stale = await fetch(`${origin}/api/files`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(stale.status, 401);
  }
});

test('admin reset promotes a client to administrator only with --role', async (t) => {
  const { server, dataDir, reset, done } = await setUp(t);
  const { client } = server;
  const refused = await reset(['--id', client.id]);
  assert.deepEqual([refused.code, refused.stdout], [2, '']);
  assert.match(refused.stderr, /role client\. Add --role/);
  const created = await done(['--id', client.id, '--role', 'admin']);
  assert.equal(created.role, 'admin');
  const { origin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await listClients(origin, client.id, created.client_secret), 200);
});

test('admin reset refuses to run while a server uses the data directory', async (t) => {
  const { server, dataDir, reset } = await setUp(t);
  const running = await startServer(t, {}, {}, dataDir);
  const { code, stdout, stderr } = await reset(['--id', server.admin.id]);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(
    stderr,
    new RegExp(`^lading: The data directory is in use by process ${process.pid}\\. Stop the server first\\.\\n$`),
  );
  assert.equal(await listClients(running.origin, server.admin.id, server.admin.secret), 200);
});

test('a directory without server data, an invalid id and a configured administrator are refused', async (t) => {
  const { reset } = await setUp(t);
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'empty'));
  for (const name of ['empty', 'absent']) {
    const { code, stderr } = await runCli(t, ['admin', 'reset', '--data-dir', join(folder, name)]);
    assert.equal(code, 2);
    assert.match(stderr, /There is no server data in .*\. Specify the data directory with --data-dir/);
  }
  assert.deepEqual(await readdir(folder), ['empty']);
  assert.deepEqual(await readdir(join(folder, 'empty')), [], 'nothing is created');
  assert.equal((await reset(['--id', '../x'])).code, 2);
  assert.equal((await reset(['--role', 'client'])).code, 2);
  const secret = 'a-secret-of-the-environment-that-is-long';
  const configured = await reset(['--id', 'boss'], { LADING_ADMIN_ID: 'boss', LADING_ADMIN_SECRET: secret });
  assert.equal(configured.code, 2);
  assert.match(configured.stderr, /LADING_ADMIN_SECRET/);
  assert.ok(!configured.stderr.includes(secret));
});

test('admin reset uses the data directory of the settings and keeps the mark of an unclean stop', async (t) => {
  const { dataDir } = await setUp(t);
  await rm(join(dataDir, 'v1', 'clean'));
  const { code, stderr } = await runCli(t, ['admin', 'reset', '--json'], { env: { LADING_DATA_DIR: dataDir } });
  assert.equal(code, 0, stderr);
  assert.ok(!(await readdir(join(dataDir, 'v1'))).includes('clean'));
  assert.ok(!(await readdir(join(dataDir, 'v1'))).includes('lock'));
});

test('root does not change the data of another user', { skip: process.geteuid?.() !== 0 }, async (t) => {
  const { dataDir, reset } = await setUp(t);
  await chown(join(dataDir, 'v1'), 65_534, 65_534);
  const before = await readdir(join(dataDir, 'v1', 'clients'));
  const { code, stderr } = await reset();
  assert.equal(code, 1);
  assert.match(stderr, /belongs to the user with the id 65534\. Run the command as that user: sudo -u '#65534'/);
  assert.deepEqual(await readdir(join(dataDir, 'v1', 'clients')), before);
});
