/** A token is cached until it expires, so that not every command is a sign-in in the audit log. */
import assert from 'node:assert/strict';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { tokenStore } from '../../../src/cli/shared/token-store.ts';
import { startServer } from '../../support/product/server.ts';
import { runCli, temporaryFolder } from '../../support/servers/processes.ts';

async function setUp(t: TestContext) {
  const server = await startServer(t);
  const XDG_CONFIG_HOME = await temporaryFolder(t);
  const { id, secret } = server.client;
  const env = { XDG_CONFIG_HOME, LADING_SERVER: server.origin, LADING_CLIENT_ID: id, LADING_CLIENT_SECRET: secret };
  const run = (args: string[], more: Record<string, string> = {}) => runCli(t, args, { env: { ...env, ...more } });
  const signIns = async () => {
    const reply = await fetch(`${server.origin}/api/audit?action=sign_in&principal=${id}`, {
      headers: server.admin.headers,
    });
    const { entries } = (await reply.json()) as { entries: { count: number; outcome: string }[] };
    return entries.filter(({ outcome }) => outcome === 'ok').reduce((sum, { count }) => sum + count, 0);
  };
  return { server, run, signIns, env, file: join(XDG_CONFIG_HOME, 'lading/tokens.json') };
}

test('commands share a sign-in, even when they start at the same time', async (t) => {
  const { run, signIns, file } = await setUp(t);
  const before = await signIns();
  const codes = await Promise.all([1, 2, 3].map(async () => (await run(['ls'])).code));
  assert.deepEqual(codes, [0, 0, 0]);
  assert.equal((await run(['ls'])).code, 0);
  assert.equal((await signIns()) - before, 1);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(file, '..')), ['tokens.json']);
});

test('a cached token is used only for its server, id and secret, and not from a file that others can change', async (t) => {
  const { run, signIns, file, server } = await setUp(t);
  assert.equal((await run(['ls'])).code, 0);
  assert.equal((await run(['ls'], { LADING_CLIENT_SECRET: 'wrong' })).code, 3);
  assert.equal((await run(['ls'], { LADING_CLIENT_ID: server.admin.id })).code, 3);
  assert.equal((await run(['ls'], { LADING_SERVER: `http://localhost:${server.port}` })).code, 0);
  assert.doesNotMatch(await readFile(file, 'utf8'), new RegExp(server.client.secret));
  const before = await signIns();
  await chmod(file, 0o644);
  assert.equal((await run(['ls'])).code, 0);
  assert.equal((await signIns()) - before, 1);
});

test('a refused token is discarded, logout deletes the cache, and an invalid cache breaks no command', async (t) => {
  const { run, signIns, file, server, env } = await setUp(t);
  assert.equal((await run(['ls'])).code, 0);
  const ended = await fetch(`${server.origin}/api/clients/${server.client.id}`, {
    method: 'PUT',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: '{"end_sessions":true}',
  });
  assert.equal(ended.status, 200);
  const old = await readFile(file, 'utf8');
  assert.equal((await run(['ls'])).code, 0);
  assert.notEqual(await readFile(file, 'utf8'), old);
  await writeFile(file, 'nonsense');
  await writeFile(join(env.XDG_CONFIG_HOME, 'lading/config.json'), '{}', { mode: 0o600 });
  assert.equal((await run(['ls'])).code, 0);
  const before = await signIns();
  assert.equal((await run(['logout'])).code, 0);
  assert.deepEqual(await readdir(join(file, '..')), []);
  assert.equal((await run(['ls'])).code, 0);
  assert.equal((await signIns()) - before, 1);
  assert.equal((await run(['ls'], { XDG_CONFIG_HOME: '/proc/nothing' })).code, 0, 'the cache cannot be written');
});

test('a token that expires soon is not used, and a failed sign-in caches nothing', async (t) => {
  const folder = await temporaryFolder(t);
  let date = 1_000_000;
  let signIns = 0;
  const store = tokenStore(join(folder, 'tokens.json'), { server: 's', clientId: 'a', clientSecret: 'b' }, () => date);
  const signIn = async () => {
    signIns += 1;
    return { token: `t${signIns}`, lifeMs: 600_000 };
  };
  assert.equal((await store(null, signIn)).token, 't1');
  date += 500_000;
  assert.deepEqual(await store(null, signIn), { token: 't1', lifeMs: 100_000 });
  assert.equal((await store('t1', signIn)).token, 't2');
  date += 550_000;
  assert.equal((await store(null, signIn)).token, 't3');
  await assert.rejects(
    store('t3', async () => {
      throw new Error('refused');
    }),
  );
  assert.equal((await store(null, signIn)).token, 't4');
});

test('the stale lock of a killed command is removed', async (t) => {
  const path = join(await temporaryFolder(t), 'tokens.json');
  await writeFile(`${path}.lock`, '');
  const date = (await stat(`${path}.lock`)).mtimeMs + 60_000;
  const store = tokenStore(path, { server: 's', clientId: 'a', clientSecret: 'b' }, () => date);
  const signIn = async () => ({ token: 't', lifeMs: 600_000 });
  assert.equal((await store(null, signIn)).token, 't');
  // The token is cached, so the lock was acquired.
  assert.match(await readFile(path, 'utf8'), /"token": "t"/);
  assert.deepEqual(await readdir(join(path, '..')), ['tokens.json']);
});
