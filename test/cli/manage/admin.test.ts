import assert from 'node:assert/strict';
import { chown, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signIn, startServer, type TestServer } from '../../support/product/server.ts';
import { jsonLines, runCli, temporaryFolder } from '../../support/servers/processes.ts';

interface Place {
  server: TestServer;
  dataDir: string;
  reset: (args?: readonly string[], env?: Record<string, string>) => ReturnType<typeof runCli>;
  /** The JSON result of a successful reset. */
  done: (args?: readonly string[]) => Promise<Record<string, string>>;
}

/** A server that ran and was stopped. */
async function place(t: TestContext): Promise<Place> {
  const server = await startServer(t);
  await server.close();
  const { dataDir } = server;
  const reset: Place['reset'] = (args = [], env = {}) =>
    runCli(t, ['admin', 'reset', '--data-dir', dataDir, ...args], { env });
  const done: Place['done'] = async (args = []) => {
    const { code, stdout, stderr } = await reset([...args, '--json']);
    assert.equal(code, 0, stderr + stdout);
    const [value, ...more] = jsonLines(stdout);
    assert.ok(value !== undefined && more.length === 0, stdout);
    return value as Record<string, string>;
  };
  return { server, dataDir, reset, done };
}

/** Status of a listing of clients, which is for administrators. */
async function administers(origin: string, id = '', secret = ''): Promise<number> {
  const { access_token: token } = await signIn(origin, id, secret);
  return (await fetch(`${origin}/api/clients`, { headers: { authorization: `Bearer ${token}` } })).status;
}

test('a new administrator is made beside the lost one, shown once and kept', async (t) => {
  const { server, dataDir, reset, done } = await place(t);
  const made = await done();
  assert.deepEqual([made.role, made.created], ['admin', true]);
  const text = await reset(['--role', 'root', '--id', 'top']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /^client id +top$/m);
  const [, secret = ''] = /^client secret +(\S{43})$/m.exec(text.stdout) ?? [];
  assert.match(text.stdout, /not shown again/);

  const { origin, client, admin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await administers(origin, made.client_id, made.client_secret), 200);
  const { access_token: top } = await signIn(origin, 'top', secret);
  const headers = { authorization: `Bearer ${top}` };
  assert.equal((await fetch(`${origin}/api/tenants`, { headers })).status, 200);
  assert.equal(await administers(origin, admin.id, admin.secret), 200, 'the others stay as they were');
  assert.notEqual(client.id, server.client.id);
  const audit = await (await fetch(`${origin}/api/audit?action=client_created`, { headers })).text();
  assert.ok(audit.includes(made.client_id ?? '-') && audit.includes('admin reset'), audit);
  assert.ok(!audit.includes(secret) && !audit.includes(made.client_secret ?? '-'));
});

test('a known administrator gets a new secret; the old one and its sign-ins end', async (t) => {
  const { dataDir, done } = await place(t);
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
  const made = await fetch(`${server.origin}/api/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${simple}` },
  });
  const { token: api = '' } = (await made.json()) as Record<string, string>;
  await server.close();

  const second = await done(['--id', 'boss']);
  assert.deepEqual([second.client_id, second.role, second.created], ['boss', 'admin', false]);
  assert.notEqual(second.client_secret, first.client_secret);
  const { origin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await administers(origin, 'boss', second.client_secret), 200);
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

test('a device becomes an administrator only when told so', async (t) => {
  const { server, dataDir, reset, done } = await place(t);
  const { client } = server;
  const refused = await reset(['--id', client.id]);
  assert.deepEqual([refused.code, refused.stdout], [2, '']);
  assert.match(refused.stderr, /role client\. Add --role/);
  const made = await done(['--id', client.id, '--role', 'admin']);
  assert.equal(made.role, 'admin');
  const { origin } = await startServer(t, {}, {}, dataDir);
  assert.equal(await administers(origin, client.id, made.client_secret), 200);
});

test('while a server runs nothing is touched, and it is said why', async (t) => {
  const { server, dataDir, reset } = await place(t);
  const running = await startServer(t, {}, {}, dataDir);
  const { code, stdout, stderr } = await reset(['--id', server.admin.id]);
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(
    stderr,
    new RegExp(`^lading: The data directory is in use by process ${process.pid}\\. Stop the server first\\.\\n$`),
  );
  assert.equal(await administers(running.origin, server.admin.id, server.admin.secret), 200);
});

test('a folder without a server’s data, a bad id and a configured administrator are refused', async (t) => {
  const { reset } = await place(t);
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'empty'));
  for (const name of ['empty', 'absent']) {
    const { code, stderr } = await runCli(t, ['admin', 'reset', '--data-dir', join(folder, name)]);
    assert.equal(code, 2);
    assert.match(stderr, /There is no server data in .*\. Specify the folder with --data-dir/);
  }
  assert.deepEqual(await readdir(folder), ['empty']);
  assert.deepEqual(await readdir(join(folder, 'empty')), [], 'nothing is made there');
  assert.equal((await reset(['--id', '../x'])).code, 2);
  assert.equal((await reset(['--role', 'client'])).code, 2);
  const secret = 'a-secret-of-the-environment-that-is-long';
  const configured = await reset(['--id', 'boss'], { LADING_ADMIN_ID: 'boss', LADING_ADMIN_SECRET: secret });
  assert.equal(configured.code, 2);
  assert.match(configured.stderr, /LADING_ADMIN_SECRET/);
  assert.ok(!configured.stderr.includes(secret));
});

test('the data directory is found as the server finds it, and an unclean stop stays one', async (t) => {
  const { dataDir } = await place(t);
  await rm(join(dataDir, 'v1', 'clean'));
  const { code, stderr } = await runCli(t, ['admin', 'reset', '--json'], { env: { LADING_DATA_DIR: dataDir } });
  assert.equal(code, 0, stderr);
  assert.ok(!(await readdir(join(dataDir, 'v1'))).includes('clean'));
  assert.ok(!(await readdir(join(dataDir, 'v1'))).includes('lock'));
});

test('root leaves the data of another user alone', { skip: process.geteuid?.() !== 0 }, async (t) => {
  const { dataDir, reset } = await place(t);
  await chown(join(dataDir, 'v1'), 65_534, 65_534);
  const before = await readdir(join(dataDir, 'v1', 'clients'));
  const { code, stderr } = await reset();
  assert.equal(code, 1);
  assert.match(stderr, /belongs to the user with the id 65534\. Run the command as that user: sudo -u '#65534'/);
  assert.deepEqual(await readdir(join(dataDir, 'v1', 'clients')), before);
});
