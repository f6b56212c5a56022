/** Settings of older servers and `LADING_COMPAT`, with their traces in the log and the documentation. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { validate as isCron } from 'node-cron';
import { COMPAT, FAMILIES, sentencesOf } from '../../src/settings/compat.ts';
import type { Environment, Flags } from '../../src/settings/config.ts';
import { readEnvironment } from '../../src/settings/environment.ts';
import { parseFlags } from '../../src/settings/flags.ts';
import { loadConfig } from '../../src/settings/load-config.ts';
import { OLD_SETTINGS } from '../../src/settings/old-names.ts';
import { SETTINGS } from '../../src/settings/settings.ts';
import { eventually } from '../support/eventually.ts';
import { repoRoot } from '../support/root.ts';
import { runCli, startCli } from '../support/servers/processes.ts';

async function folderWith(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-dotenv-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, '.env'), text);
  return folder;
}

function logOf(env: Environment, flags: Flags = {}): string {
  const { notes, warnings } = loadConfig(flags, env);
  return [...notes, ...warnings].join('\n');
}

const KEY = 'a-key-of-the-older-server-that-is-long-enough';

test('old names are accepted and converted to the units of the new ones', () => {
  const { config, notes, warnings, sources } = loadConfig(
    {},
    {
      SECRET_KEY: KEY,
      ACCESS_TOKEN_EXPIRE_MINUTES: '45',
      UPLOAD_DIR: '/tmp/uploads',
      STALE_UPLOAD_TIMEOUT_SECONDS: '7200',
      CLEANUP_INTERVAL_SECONDS: '3600',
      PORT: '8123',
    },
  );
  assert.equal(config.jwtSecret, KEY);
  assert.equal(config.tokenMinutes, 45);
  assert.equal(config.dataDir, '/tmp/uploads');
  assert.equal(config.staleSeconds, 7200);
  assert.equal(config.cleanupCron, '0 * * * *');
  assert.equal(config.port, 8123);
  assert.deepEqual(warnings, []);
  assert.equal(notes.length, 6);
  assert.ok(notes.includes('PORT is a setting of an older server: it was read as LADING_PORT=8123'));
  assert.ok(notes.includes('SECRET_KEY is a setting of an older server: it was read as LADING_JWT_SECRET'));
  assert.doesNotMatch(notes.join('\n'), new RegExp(KEY));
  assert.equal(sources.get('port'), 'PORT');
});

test('a new name or a flag overrides an old name, and the log says so', () => {
  const env = { PORT: '8123', LADING_PORT: '9000', SECRET_KEY: KEY, JWT_SECRET: `${KEY}-2` };
  const { config, notes } = loadConfig(parseFlags(['--data-dir', '/tmp/a']), { ...env, UPLOAD_DIR: '/tmp/b' });
  assert.deepEqual([config.port, config.dataDir, config.jwtSecret], [9000, '/tmp/a', KEY]);
  assert.ok(notes.includes('PORT was ignored: LADING_PORT is also set and takes precedence'));
  assert.ok(notes.includes('UPLOAD_DIR was ignored: LADING_DATA_DIR is also set and takes precedence'));
  assert.ok(notes.includes('JWT_SECRET was ignored: SECRET_KEY is also set and takes precedence'));
  // An empty variable counts as not set.
  assert.equal(loadConfig({}, { PORT: '8123', LADING_PORT: '' }).config.port, 8123);
  assert.equal(logOf({ PORT: '' }), '');
});

test('a weak key is reported and ignored, and an invalid value stops the start', () => {
  const weak = loadConfig({}, { SECRET_KEY: 'hush-hush', JWT_ALGO: 'HS512', DB_HOST: 'db', FLASK_ENV: 'development' });
  assert.equal(weak.config.jwtSecret, null);
  assert.match(weak.warnings.join('\n'), /SECRET_KEY was ignored: .*32 bytes/);
  assert.match(weak.warnings.join('\n'), /JWT_ALGO was ignored/);
  assert.match(weak.warnings.join('\n'), /DB_HOST .*has no effect here/);
  assert.match(weak.warnings.join('\n'), /FLASK_ENV .*has no effect here/);
  assert.doesNotMatch(weak.warnings.join('\n'), /hush/);
  assert.throws(() => loadConfig({}, { PORT: '80a' }), /^ConfigError: PORT must be .*"80a"$/);
  assert.throws(
    () => loadConfig({}, { ACCESS_TOKEN_EXPIRE_MINUTES: '0' }),
    /^ConfigError: ACCESS_TOKEN_EXPIRE_MINUTES must/,
  );
});

test('the log never contains the password of a database', () => {
  assert.doesNotMatch(
    logOf({ DB_PASSWORD: 'swordfish', YANDEX_CLIENT_ID: 'id', YANDEX_CLIENT_SECRET: 'swordfish' }),
    /sword/,
  );
});

test('an interval in seconds becomes a cron expression that is at least as frequent', () => {
  const expected: [string, string][] = [
    ['1', '*/1 * * * * *'],
    ['45', '*/30 * * * * *'],
    ['60', '*/1 * * * *'],
    ['300', '*/5 * * * *'],
    ['5400', '0 * * * *'],
    ['21600', '0 */6 * * *'],
    ['999999', '0 0 * * *'],
  ];
  for (const [seconds, cron] of expected) {
    assert.ok(isCron(cron));
    assert.equal(loadConfig({}, { CLEANUP_INTERVAL_SECONDS: seconds }).config.cleanupCron, cron, seconds);
  }
  assert.match(logOf({ CLEANUP_INTERVAL_SECONDS: '0' }), /CLEANUP_INTERVAL_SECONDS was ignored/);
});

test('the public address of the server is taken from the redirect URI of a provider', () => {
  const url = 'https://sound.example.org/v1/auth/yandex/callback';
  assert.equal(loadConfig({}, { YANDEX_REDIRECT_URI: url }).config.publicUrl, 'https://sound.example.org');
  assert.match(logOf({ YANDEX_REDIRECT_URI: 'https://sound.example.org/auth' }), /YANDEX_REDIRECT_URI was ignored/);
});

test('an unknown name in LADING_COMPAT is an error that suggests a similar one', () => {
  const { config, warnings } = loadConfig({}, { LADING_COMPAT: 'talk, File-Transfer' });
  assert.deepEqual(config.compat.families, ['file-transfer', 'talk']);
  assert.ok(config.compat.allows('localTokens') && config.compat.allows('emptyChunk'));
  assert.ok(!config.compat.allows('refreshAlone'));
  const log = warnings.join('\n');
  for (const sentence of [...sentencesOf('talk'), ...sentencesOf('file-transfer')]) assert.ok(log.includes(sentence));
  assert.deepEqual(loadConfig({}, {}).config.compat.families, []);
  for (const family of FAMILIES) {
    const loaded = loadConfig({}, { LADING_COMPAT: family });
    const loosens = sentencesOf(family).length > 0;
    assert.equal(loaded.warnings.length, loosens ? 1 : 0, 'only a family that loosens a rule causes a warning');
    assert.match(loaded.notes.join(), loosens ? /^$/ : new RegExp(`LADING_COMPAT=${family} loosens no rules`));
  }
  for (const [name, near] of [
    ['file_transfer', 'file-transfer'],
    ['tlak', 'talk'],
    ['audio-ftpp', 'audio-ftp'],
    ['ops', 'ops-client'],
  ]) {
    assert.throws(
      () => loadConfig({}, { LADING_COMPAT: `talk,${name}` }),
      new RegExp(`^ConfigError: LADING_COMPAT must .*did you mean ${near}\\?`),
    );
  }
  for (const invalid of ['everything', 'talk,', ',', 'talk;ops-client', 'none,talk']) {
    assert.throws(
      () => loadConfig({}, { LADING_COMPAT: invalid }),
      /^ConfigError: LADING_COMPAT must be none, or a list of/,
      invalid,
    );
  }
});

test('the environment overrides the .env file of the working directory', async (t) => {
  const text = `\uFEFF# of the older server\r\nPORT=8123\r\nexport LADING_HOST="::1" # loopback\r\nSECRET_KEY='${KEY}'\r\nFOO=bar\r\nEMPTY=\r\n`;
  const folder = await folderWith(t, text);
  const found = readEnvironment(folder, { LADING_HOST: '127.0.0.1', FOO: 'mine' });
  assert.equal(found.env.PORT, '8123');
  assert.equal(found.env.LADING_HOST, '127.0.0.1');
  assert.equal(found.env.SECRET_KEY, KEY);
  assert.equal(found.env.FOO, 'mine');
  assert.deepEqual([...found.fromFile].sort(), ['EMPTY', 'PORT', 'SECRET_KEY']);
  assert.match(found.warnings.join('\n'), /EMPTY/);
  assert.match(readEnvironment(folder, {}).warnings.join('\n'), /\bFOO\b/);
  assert.doesNotMatch(readEnvironment(folder, {}).warnings.join('\n'), /bar/);
});

test('invalid lines of .env are reported by number', async (t) => {
  const text = 'LADING_PORT 8123\n\n# note\nTLS="-----BEGIN\nkey\n-----END"\n  export LADING_HOST=::1\nsecret\n';
  const { warnings } = readEnvironment(await folderWith(t, text), {});
  assert.match(warnings.join('\n'), /not NAME=VALUE; they were ignored: line 1, 8$/m);
  assert.doesNotMatch(warnings.join('\n'), /secret/);
  assert.doesNotMatch(readEnvironment(await folderWith(t, '# PORT\nPORT=1\r\n'), {}).warnings.join(), /NAME=VALUE/);
});

test('a missing .env or a directory of that name is ignored, an unreadable one is an error', async (t) => {
  const folder = await folderWith(t, 'PORT=1');
  if (process.getuid?.() !== 0) {
    await chmod(join(folder, '.env'), 0);
    assert.throws(() => readEnvironment(folder, {}), /ConfigError: .env .*EACCES/);
  }
  await rm(join(folder, '.env'), { force: true });
  assert.deepEqual(readEnvironment(folder, {}).env, {});
  await mkdir(join(folder, '.env'));
  assert.deepEqual(readEnvironment(folder, {}).env, {});
});

test('a server starts with the .env of an older server and logs how it used each setting', async (t) => {
  const weak = 'hush: an old key';
  const folder = await folderWith(
    t,
    `PORT=0\nUPLOAD_DIR=./uploads\nSECRET_KEY=${weak}\nACCESS_TOKEN_EXPIRE_MINUTES=5\nDB_PASSWORD=swordfish\nLADING_COMPAT=talk\nLADING_HOST=127.0.0.1\n`,
  );
  const running = startCli(t, ['serve'], {
    cwd: folder,
    env: { LADING_ADMIN_ID: 'a', LADING_ADMIN_SECRET: 'wild geese 1907' },
  });
  await eventually(() => /Lading listens on/.test(running.stdout()), 'the start');
  const log = running.stderr();
  for (const words of [
    'PORT is a setting of an older server: it was read as LADING_PORT=0',
    'UPLOAD_DIR is a setting of an older server: it was read as LADING_DATA_DIR=./uploads',
    'SECRET_KEY was ignored',
    'ACCESS_TOKEN_EXPIRE_MINUTES is a setting of an older server: it was read as LADING_TOKEN_MINUTES=5',
    'DB_PASSWORD is a setting of an older server and has no effect here',
    COMPAT.talk.localTokens,
  ]) {
    assert.ok(log.includes(words), `${words}\nis not in\n${log}`);
  }
  assert.doesNotMatch(log, /hush|swordfish/);
  await readFile(join(folder, 'uploads', 'v1', 'lock'));
  running.process.kill('SIGTERM');
  assert.equal((await running.finished).code, 0);
});

test('an unknown name in LADING_COMPAT stops the process with a message of one line', async (t) => {
  const folder = await folderWith(t, 'LADING_COMPAT=tlak\n');
  const { code, stderr } = await runCli(t, ['serve'], { cwd: folder });
  assert.equal(code, 2);
  assert.match(stderr, /^lading: LADING_COMPAT must be .*did you mean talk\?.*\n$/);
});

test('docs/migrating.md lists the extensions of each family and the replacement of each old setting', async () => {
  const text = await readFile(join(repoRoot(), 'docs', 'migrating.md'), 'utf8');
  for (const family of FAMILIES) {
    const section = text.split(/^## /m).find((part) => part.startsWith(`\`${family}\``));
    assert.ok(section, `the section ${family} is missing`);
    for (const sentence of sentencesOf(family))
      assert.ok(section.includes(`- ${sentence}\n`), `${family}: ${sentence}`);
  }
  for (const { name, replacement, note } of OLD_SETTINGS) {
    const row = `| \`${name}\` | ${replacement === null ? 'nothing' : `\`${replacement}\``} | ${note} |\n`;
    assert.ok(text.includes(row), name);
  }
});

test('lading settings shows the effective values and their sources, but no secrets', async (t) => {
  const text = `PORT=8123\nSECRET_KEY=${KEY}\nDB_PASSWORD=swordfish\n`;
  const folder = await folderWith(t, text);
  const env = { LADING_COMPAT: 'audio-ftp', LADING_HOST: '127.0.0.1' };
  const { code, stdout } = await runCli(t, ['settings'], { cwd: folder, env });
  assert.equal(code, 0);
  assert.match(stdout, /LADING_PORT +8123 +PORT in \.env/);
  assert.match(stdout, /LADING_HOST +127\.0\.0\.1 +LADING_HOST/);
  assert.match(stdout, /LADING_JWT_SECRET +\*{8} +SECRET_KEY in \.env/);
  for (const sentence of sentencesOf('audio-ftp')) assert.ok(stdout.includes(sentence), sentence);
  assert.match(stdout, /DB_PASSWORD .*has no effect here/);
  assert.doesNotMatch(stdout, /swordfish|a-key-of|^LADING_DATA_DIR/m);
  const all = JSON.parse((await runCli(t, ['settings', '--all', '--json'], { cwd: folder, env })).stdout);
  assert.equal(all.settings.length, SETTINGS.length);
  assert.deepEqual(all.compat, { 'audio-ftp': sentencesOf('audio-ftp') });
  assert.equal((await runCli(t, ['settings'], { cwd: folder, env: { LADING_COMPAT: 'tlak' } })).code, 2);
});
