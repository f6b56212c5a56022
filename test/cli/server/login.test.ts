/** `lading login` and the stored credentials. */
import assert from 'node:assert/strict';
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCommandLine } from '../../support/product/command-line.ts';
import { startServer } from '../../support/product/server.ts';
import { jsonLines, runCli } from '../../support/servers/processes.ts';

test('login verifies credentials and stores them in a private file that other commands use', async (t) => {
  const { server, folder, lading, json } = await startCommandLine(t);
  const { id, secret } = server.client;
  const config = join(folder, 'lading', 'config.json');
  const login = ['login', '--server', server.origin, '--client-id', id, '--client-secret-file', '-'];
  assert.equal((await lading(login, {}, 'wrong')).code, 3);
  await assert.rejects(stat(config), /ENOENT/);
  assert.equal((await lading(login, {}, '')).code, 2);
  const { code, stdout } = await lading(login, {}, `${secret}\n`);
  assert.equal(code, 0);
  assert.ok(stdout.includes(config) && !stdout.includes(secret));
  assert.equal((await stat(config)).mode & 0o777, 0o600);
  assert.deepEqual(await json(['ls'], {}), { files: [] });
  await chmod(config, 0o644);
  const refused = await lading(['ls'], {});
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /chmod 600/);
});

test('commands sign in with id and secret when the password grant is off', async (t) => {
  const server = await startServer(t, { LADING_PASSWORD_GRANT: 'off' });
  const { id, secret } = server.client;
  const ls = (given: string) =>
    runCli(t, ['ls', '--json'], {
      env: { LADING_SERVER: server.origin, LADING_CLIENT_ID: id, LADING_CLIENT_SECRET: given },
    });
  assert.deepEqual(jsonLines((await ls(secret)).stdout), [{ files: [] }]);
  const refused = await ls('wrong');
  assert.equal(refused.code, 3);
  assert.match(refused.stdout, /"unauthorized".*secret is wrong/);
});
