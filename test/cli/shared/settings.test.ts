import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { UsageError } from '../../../src/cli/shared/exit.ts';
import { configPathOf, loadSettings, loginSettings, writeConfig } from '../../../src/cli/shared/settings.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';

const SERVER = 'https://files.example.org/';

async function configured(t: TestContext, config: unknown, mode = 0o600) {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'lading', 'config.json');
  await mkdir(join(folder, 'lading'));
  await writeFile(path, typeof config === 'string' ? config : JSON.stringify(config), { mode });
  await chmod(path, mode);
  return { path, env: { XDG_CONFIG_HOME: folder } };
}

test('flags take precedence over the environment, which takes precedence over the file', async (t) => {
  const { env } = await configured(t, { server: SERVER, client_id: 'filed', client_secret: 'f' });
  assert.deepEqual(await loadSettings({}, env), {
    server: SERVER,
    credentials: { token: undefined, clientId: 'filed', clientSecret: 'f' },
  });
  const more = { ...env, LADING_CLIENT_ID: 'env', LADING_CLIENT_SECRET: 'e' };
  assert.equal((await loadSettings({}, more)).credentials.clientId, 'env');
  const { credentials } = await loadSettings({ clientId: 'flag' }, { ...env, LADING_CLIENT_SECRET: 'e' });
  assert.deepEqual([credentials.clientId, credentials.clientSecret], ['flag', 'e']);
});

test('the default is the local server without credentials', async (t) => {
  const env = { XDG_CONFIG_HOME: await temporaryFolder(t), LADING_TOKEN: '', LADING_SERVER: '' };
  assert.deepEqual(await loadSettings({}, env), { server: 'http://localhost:8005/', credentials: {} });
});

test('the first source with a token or client id decides the identity', async (t) => {
  const { env } = await configured(t, { server: SERVER, client_id: 'filed', client_secret: 'f' });
  const { credentials } = await loadSettings({ token: 'abc' }, env);
  assert.deepEqual(credentials, { token: 'abc' });
  const other = await loadSettings({ clientId: 'me', clientSecret: 's' }, { ...env, LADING_TOKEN: 'another token' });
  assert.equal(other.credentials.token, undefined);
});

test('a stored secret is used only for its own server and client id', async (t) => {
  const { env } = await configured(t, { server: SERVER, client_id: 'filed', client_secret: 'f' });
  assert.deepEqual((await loadSettings({ server: 'https://elsewhere.example' }, env)).credentials, {});
  assert.equal((await loadSettings({ server: 'https://files.example.org' }, env)).credentials.clientSecret, 'f');
  assert.equal((await loadSettings({ clientId: 'another' }, env)).credentials.clientSecret, undefined);
});

test('a settings file that others can read or change is refused with the command that fixes it', async (t) => {
  for (const mode of [0o644, 0o640, 0o604, 0o620]) {
    const { path, env } = await configured(t, { server: SERVER }, mode);
    await assert.rejects(loadSettings({}, env), (error: unknown) => {
      assert.ok(error instanceof UsageError);
      assert.ok(error.message.includes(`chmod 600 ${path}`));
      return true;
    });
  }
  const { env } = await configured(t, { server: SERVER }, 0o400);
  assert.equal((await loadSettings({}, env)).server, SERVER);
});

test('an invalid settings file is refused, and a specified one must exist', async (t) => {
  for (const text of ['', '[]', '"x"', 'null', '{"server":7}', '{"server":"not an address"}']) {
    const { env } = await configured(t, text);
    await assert.rejects(loadSettings({}, env), UsageError, text);
  }
  const absent = join(await temporaryFolder(t), 'absent.json');
  await assert.rejects(loadSettings({ config: absent }, {}), UsageError);
  assert.equal(configPathOf({}, { LADING_CONFIG: absent }), absent);
});

test('a secret is read from a file without its final line break', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'secret');
  await writeFile(path, 's3cret \n');
  const options = { clientId: 'me', clientSecretFile: path };
  assert.equal((await loginSettings(options, {})).credentials.clientSecret, 's3cret ');
  await assert.rejects(loginSettings({ clientSecretFile: join(folder, 'absent') }, {}), UsageError);
});

test('only the owner can read the file that login writes, even if it replaces a readable one', async (t) => {
  const { path, env } = await configured(t, '{}', 0o644);
  await writeConfig(path, { server: SERVER, clientId: 'me', clientSecret: 's' });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { server: SERVER, client_id: 'me', client_secret: 's' });
  assert.equal((await loadSettings({}, env)).credentials.clientId, 'me');
  const fresh = join(await temporaryFolder(t), 'new', 'folder', 'config.json');
  await writeConfig(fresh, { server: SERVER, clientId: 'me', clientSecret: 's' });
  assert.equal((await stat(join(fresh, '..'))).mode & 0o777, 0o700);
});

test('a server URL without http:// or https:// is refused before anything is sent', async () => {
  for (const server of ['files.example.org', 'ftp://example.org', '']) {
    await assert.rejects(loginSettings({ server }, {}), UsageError, server);
  }
  await assert.rejects(
    loginSettings({ server: 'localhost:8005' }, {}),
    /must begin with .*, for example http:\/\/localhost:8005$/,
  );
});
