/** `lading tokens` and `lading users` */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startCommandLine } from '../../support/product/admin-command-line.ts';
import { seededFolder } from '../../support/product/identity.ts';
import type { TestServer } from '../../support/product/server.ts';

test('tokens creates, lists, rotates and revokes API tokens', async (t) => {
  const { server, lading, json } = await startCommandLine(t);
  const { client } = server;
  const args = ['tokens', 'create', '--scope', 'read', 'files:write', '--expires-in', '30d', '--name', 'backup'];
  const created = await json(args, client.token);
  assert.deepEqual(created.scopes, ['read', 'files:write']);
  const life = Date.parse(String(created.expires_at)) - Date.parse(String(created.created_at));
  assert.equal(life, 30 * 86_400_000);
  const token = String(created.token);
  assert.equal((await lading(['ls'], token)).code, 0, 'the other commands accept it');
  assert.equal((await lading(['tokens', 'create'], token)).code, 3, 'but it cannot create tokens');

  const { tokens } = await json(['tokens', 'list'], client.token);
  assert.ok(Array.isArray(tokens) && tokens.length === 1 && !JSON.stringify(tokens).includes(token));
  const shown = await lading(['tokens', 'list'], client.token);
  assert.match(shown.stdout, /^TOKEN +OWNER +SCOPES +USES +LAST USED +EXPIRES +NAME\n/);
  assert.match(shown.stdout, new RegExp(`^${created.token_id} +${client.id} +read files:write +\\d+ .* backup$`, 'm'));

  const next = await json(['tokens', 'rotate', String(created.token_id)], client.token);
  assert.equal((await lading(['ls'], token)).code, 3);
  assert.equal((await lading(['ls'], String(next.token))).code, 0);
  assert.deepEqual(await json(['tokens', 'revoke', String(created.token_id)], client.token), {
    revoked: created.token_id,
  });
  assert.equal((await lading(['ls'], String(next.token))).code, 3);
  assert.equal(
    (await lading(['tokens', 'revoke', String(created.token_id)], client.token)).code,
    0,
    'a repeated revocation succeeds',
  );
  assert.equal((await lading(['tokens', 'revoke', '0123456789abcdef'], client.token)).code, 4);

  const revoked = await lading(['tokens', 'list', '--revoked'], client.token);
  assert.match(revoked.stdout, new RegExp(`^${created.token_id} .* revoked +backup$`, 'm'));

  const theirs = await json(['tokens', 'create', '--user', client.id]);
  assert.deepEqual([theirs.user_id, theirs.scopes], [client.id, ['read', 'write']]);
  assert.equal((await lading(['tokens', 'create', '--user', `${client.id}x`])).code, 4, 'a typing error');
  const people = await lading(['tokens', 'create', '--user', client.id]);
  assert.match(people.stdout, /^token +lat_\S+$/m);
  assert.match(people.stdout, /not shown again/);
  assert.equal(((await json(['tokens', 'list', '--user', client.id])).tokens as object[]).length, 2);
  assert.equal((await lading(['tokens', 'list', '--user', server.admin.id], client.token)).code, 3);
  assert.equal((await lading(['tokens', 'create', '--expires-in', 'soon'])).code, 2);
  assert.equal((await lading(['tokens', 'create', '--scope', 'everything'])).code, 1);
});

test('users creates people with a password from a file or standard input, lists and deletes them', async (t) => {
  const { server, folder, lading, json } = await startCommandLine(t);
  const password = 'correct horse 7 battery staple';
  await writeFile(join(folder, 'password'), `${password}\n`);
  const who = ['users', 'create', '--name', 'Ada', '--surname', 'Byron'];
  const created = await json([...who, '--email', 'Ada@Example.org', '--password-file', 'password']);
  assert.deepEqual([created.email, created.role], ['ada@example.org', 'client']);
  const admin = await json(
    [...who, '--admin', '--email', 'boss@example.org', '--password-file', '-'],
    undefined,
    password,
  );
  assert.equal(admin.role, 'admin');
  assert.ok(!JSON.stringify([created, admin]).includes(password));
  const login = (email: string, given: string): Promise<Response> =>
    fetch(`${server.origin}/v1/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password: given }),
    });
  for (const email of ['ada@example.org', 'boss@example.org']) assert.equal((await login(email, password)).status, 200);
  assert.equal((await login('ada@example.org', `${password}!`)).status, 401);

  const { users } = await json(['users', 'list']);
  assert.deepEqual((users as { email: string }[]).map(({ email }) => email).sort(), [
    'ada@example.org',
    'boss@example.org',
  ]);
  assert.match((await lading(['users', 'list'])).stdout, /^USER +EMAIL +ROLE +LAST USED +NAME\n/);
  assert.deepEqual(await json(['users', 'delete', 'ADA@example.org']), { deleted: created.id });
  assert.deepEqual(await json(['users', 'delete', String(admin.id)]), { deleted: admin.id });
  assert.equal((await login('ada@example.org', password)).status, 401);
  assert.equal((await lading(['users', 'delete', 'ada@example.org'])).code, 4);

  const code = async (args: string[], token?: string) => (await lading(args, token)).code;
  const file = ['--password-file', 'password'];
  assert.equal(await code([...who, '--email', 'c@example.org']), 2, 'no terminal to prompt for the password');
  assert.equal(await code([...who, ...file]), 2, 'nor for the address');
  assert.equal(await code([...who, '--email', 'c@example.org', '--password-file', 'absent']), 2);
  assert.equal(await code([...who, '--email', 'c@example.org', '--admin', '--role', 'ops', ...file]), 2);
  assert.equal(await code([...who, '--email', 'c@example.org', ...file], server.client.token), 3);
  assert.equal(await code(['users', 'list'], server.client.token), 3);
  assert.equal(await code([...who, '--email', 'c@example.org', ...file]), 0);
  assert.equal(await code([...who, '--email', 'c@example.org', ...file]), 5);
});

test('users shows and updates people by id or address, and keeps omitted values', async (t) => {
  const { server, lading, json } = await startCommandLine(t);
  const [first, second] = ['correct horse 7 battery staple', 'another 7 battery horse'];
  const created = await json(
    ['users', 'create', '--email', 'ada@example.org', '--name', 'Ada', '--surname', 'Byron', '--password-file', '-'],
    undefined,
    first,
  );
  const login = async (email: string, password: string): Promise<number> => {
    const body = new URLSearchParams({ email, password });
    return (await fetch(`${server.origin}/v1/auth/login`, { method: 'POST', body })).status;
  };
  const shown = async (who: string): Promise<unknown[]> => {
    const { id, email, name, surname, role } = await json(['users', 'show', who]);
    return [id, email, name, surname, role];
  };
  const { id } = created;
  assert.deepEqual(await shown('ADA@example.org'), [id, 'ada@example.org', 'Ada', 'Byron', 'client']);
  assert.match((await lading(['users', 'show', String(id)])).stdout, /^role +client$/m);

  const update = ['users', 'update', 'ada@example.org'];
  assert.equal((await json([...update, '--surname', 'Lovelace', '--role', 'ops'])).role, 'ops');
  assert.deepEqual(await shown(String(id)), [id, 'ada@example.org', 'Ada', 'Lovelace', 'ops']);
  assert.equal(await login('ada@example.org', first), 200);
  const { code, stdout, stderr } = await lading([...update, '--password-file', '-'], undefined, `${second}\n`);
  assert.equal(code, 0, stderr);
  assert.ok(!(stdout + stderr).includes(second));
  assert.deepEqual([await login('ada@example.org', first), await login('ada@example.org', second)], [401, 200]);
  await json([...update, '--email', 'countess@example.org']);
  assert.deepEqual([await login('ada@example.org', second), await login('countess@example.org', second)], [401, 200]);

  const exit = async (args: string[], token?: string): Promise<number | null> => (await lading(args, token)).code;
  assert.equal(await exit(['users', 'update', String(id)]), 2, 'nothing to change');
  assert.equal(await exit(['users', 'update', String(id), '--password-file', 'absent']), 2);
  assert.equal(await exit(['users', 'update', String(id), '--ask-password']), 2, 'no terminal to prompt on');
  assert.equal(await exit(['users', 'update', String(id), '--name', 'A'], server.client.token), 3);
  assert.equal(
    await exit(['users', 'update', String(id), '--role', 'root']),
    3,
    'a role above that of the administrator',
  );
  assert.equal(await exit([...update, '--name', 'A']), 4);
  assert.equal(await exit(['users', 'show', 'nobody@example.org']), 4);
  assert.deepEqual((await shown(String(id))).slice(2), ['Ada', 'Lovelace', 'ops']);
});

/** Runs a command on a terminal and sends the next answer at each prompt. */
async function onTerminal(
  t: TestContext,
  { server, folder }: { server: TestServer; folder: string },
  command: string,
  question: RegExp,
  answers: string[],
): Promise<{ output: string; code: number | null }> {
  const cli = join(import.meta.dirname, '../../../src/cli/main.js');
  const env = { PATH: process.env.PATH ?? '', XDG_CONFIG_HOME: folder, LADING_SERVER: server.origin };
  const child = spawn('script', ['-qec', `${process.execPath} ${cli} ${command}`, '/dev/null'], {
    env: { ...env, LADING_TOKEN: server.admin.token },
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
    if (question.test(output)) child.stdin.write(`${answers.shift() ?? ''}\r`);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { output, code };
}

test('the terminal prompts for the password twice and never shows it', async (t) => {
  if (spawnSync('script', ['--version']).status !== 0)
    return t.skip('script(1), which provides a terminal, is not installed');
  const { server, folder } = await startCommandLine(t);
  const password = 'correct horse 7 battery staple ';
  const command = 'users create --email ada@example.org --name Ada --surname Byron';
  const create = (answers: string[]) =>
    onTerminal(t, { server, folder }, command, /(not shown\)|the password): $/, answers);
  const differing = await create([password, `${password}x`]);
  assert.equal(differing.code, 2, differing.output);
  assert.match(differing.output, /two passwords do not match/);
  const { output, code } = await create([password, password]);
  assert.equal(code, 0, output);
  assert.ok(!(differing.output + output).includes('horse'), output);
  const login = await fetch(`${server.origin}/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'ada@example.org', password }),
  });
  assert.equal(login.status, 200, 'the trailing space is part of the password');
});

test('a terminal asks for confirmation before it raises a role', async (t) => {
  if (spawnSync('script', ['--version']).status !== 0)
    return t.skip('script(1), which provides a terminal, is not installed');
  const { server, folder, json } = await startCommandLine(t);
  const body = { email: 'ada@example.org', name: 'Ada', surname: 'Byron', password: 'correct horse 7 battery staple' };
  await fetch(`${server.origin}/v1/user`, {
    method: 'POST',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const role = async () => (await json(['users', 'show', body.email])).role;
  const update = (options: string, answers: string[] = []) =>
    onTerminal(t, { server, folder }, `users update ${body.email} ${options}`, /\[y\/N\] [^\r\n]*$/, answers);
  for (const no of ['', 'n', 'perhaps']) {
    const { output, code } = await update('--role admin', [no]);
    assert.equal(code, 1, output);
    assert.match(output, /Give ada@example.org the role admin\? The current role is client\..*Nothing was changed/s);
    assert.equal(await role(), 'client');
  }
  const { output, code } = await update('--role admin', ['y']);
  assert.equal(code, 0, output);
  assert.equal(await role(), 'admin');
  // Lowering a role, --yes and an unchanged role ask nothing.
  for (const [options, now] of [
    ['--role client', 'client'],
    ['--role ops --yes', 'ops'],
    ['--role ops --name Augusta', 'ops'],
  ] as const) {
    const unasked = await update(options);
    assert.equal(unasked.code, 0, unasked.output);
    assert.ok(!unasked.output.includes('[y/N]'), unasked.output);
    assert.equal(await role(), now);
  }
});

test('users list requests all pages', async (t) => {
  const { dataDir } = await seededFolder(t, async () => undefined);
  const pageSize = 1000;
  const person = { tenant: 'default', role: 'client', name: 'A', surname: 'B', passwordHash: null, outside: [] };
  for (let i = 0; i <= pageSize; i += 1) {
    const id = i.toString(16).padStart(24, '0');
    const document = { ...person, id, email: `p${i}@example.org`, createdAt: 1_700_000_000_000, lastUsed: null };
    await writeFile(join(dataDir, 'v1', 'people', `${id}.json`), JSON.stringify(document));
  }
  const { json } = await startCommandLine(t, dataDir);
  const { users } = await json(['users', 'list']);
  assert.equal(new Set((users as { email: string }[]).map(({ email }) => email)).size, pageSize + 1);
});
