import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { Compat } from '../../src/settings/compat.ts';
import type { Environment, Flags } from '../../src/settings/config.ts';
import { ConfigError } from '../../src/settings/config-error.ts';
import { parseFlags } from '../../src/settings/flags.ts';
import { helpText, settingsTable } from '../../src/settings/help-text.ts';
import { loadConfig } from '../../src/settings/load-config.ts';
import { parseSize } from '../../src/settings/parsers.ts';
import { SETTINGS } from '../../src/settings/settings.ts';
import { tlsSettings } from '../support/wire/tls.ts';

/** Returns the error of a configuration that is refused, which must be one line. */
function refusal(env: Environment, flags: Flags = {}): string {
  try {
    loadConfig(flags, env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  throw new assert.AssertionError({ message: `accepted: ${JSON.stringify({ env, flags })}` });
}

test('the defaults are those of the documentation', () => {
  const { config, warnings } = loadConfig({}, {});
  assert.deepEqual(warnings, []);
  assert.ok(Object.isFrozen(config));
  assert.ok(config.workers >= 1);
  const { workers: _, ...rest } = config;
  assert.deepEqual(rest, {
    host: '0.0.0.0',
    port: 8005,
    dataDir: resolve('data'),
    adminId: null,
    adminSecret: null,
    jwtSecret: null,
    jwtAlgorithm: 'HS256',
    jwtRotateDays: 90,
    tokenMinutes: 30,
    refreshDays: 30,
    sessionDays: 365,
    accountDays: 365,
    passwordGrant: 'on',
    deliveryParallel: 4,
    deliveryAttempts: 300,
    deliveryRetrySeconds: 10,
    webhookPrivate: 'off',
    uploadAbsolute: 'off',
    uploadRight: 'off',
    sealingKey: null,
    voice: 'off',
    voiceUrl: 'https://api.twilio.com',
    voiceAccount: null,
    dashboardPassword: null,
    voiceToken: null,
    voiceFrom: null,
    sipAddress: null,
    sipPassword: null,
    otpPhoneHour: 5,
    otpCallerHour: 60,
    otpDay: 1000,
    requireOtp: [],
    otpHours: 12,
    staleSeconds: 86400,
    staleRemoveDays: 30,
    cleanupCron: '0 * * * *',
    openEndedSeconds: 900,
    maxChunkBytes: 1024 ** 3,
    maxFileBytes: 1024 ** 4,
    bufferBytes: 32 * 1024 ** 2,
    storage: 'disk',
    durability: 'chunk',
    idleSeconds: 120,
    addressConnections: 0,
    minBytesPerSecond: 1,
    trustProxy: [],
    ratePrincipal: 600_000,
    rateToken: 300_000,
    rateAddress: 1_200_000,
    quotaBytes: 0,
    quotaOpenUploads: 10_000,
    quotaDayBytes: 0,
    publicUrl: null,
    allowedOrigins: [],
    registration: 'closed',
    oidcIssuer: null,
    oidcClientId: null,
    oidcClientSecret: null,
    yandexClientId: null,
    yandexClientSecret: null,
    yandexOauthUrl: 'https://oauth.yandex.ru',
    yandexLoginUrl: 'https://login.yandex.ru',
    tlsCert: null,
    tlsKey: null,
    tls: null,
    compat: new Compat(),
    logLevel: 'info',
    logFile: null,
    shutdownSeconds: 20,
  });
});

test('variables set values, flags take precedence, and empty variables are ignored', () => {
  const env = { LADING_PORT: '1', LADING_HOST: ' ::1 ', LADING_MAX_FILE_BYTES: '', LADING_MAX_CHUNK_BYTES: '5MB' };
  const { config } = loadConfig(
    parseFlags(['--port', '2', '--durability=seal', '--trust-proxy', 'loopback, 10.0.0.0/8']),
    env,
  );
  assert.deepEqual(
    [config.port, config.host, config.maxFileBytes, config.maxChunkBytes],
    [2, '::1', 1024 ** 4, 5_000_000],
  );
  assert.deepEqual([config.durability, config.trustProxy], ['seal', ['loopback', '10.0.0.0/8']]);
});

test('a negative number is refused as the value of its flag', () => {
  assert.throws(
    () => loadConfig(parseFlags(['--max-chunk-bytes', '-1', '--port', '0']), {}),
    /^ConfigError: --max-chunk-bytes must be/,
  );
  assert.throws(() => parseFlags(['--port', '-x']), ConfigError);
});

test('an invalid value is refused in one line that names its variable or flag', () => {
  const bad: [string, string][] = [
    ['LADING_PORT', '65536'],
    ['LADING_PORT', '-1'],
    ['LADING_PORT', '80a'],
    ['LADING_PORT', '8e3'],
    ['LADING_TOKEN_MINUTES', '0'],
    ['LADING_TOKEN_MINUTES', '1.5'],
    ['LADING_JWT_ALGORITHM', 'none'],
    ['LADING_JWT_ROTATE_DAYS', '0'],
    ['LADING_STALE_SECONDS', 'a day'],
    ['LADING_CLEANUP_CRON', 'every hour'],
    ['LADING_OPEN_ENDED_SECONDS', '0'],
    ['LADING_MAX_CHUNK_BYTES', '1 chunk'],
    ['LADING_MAX_FILE_BYTES', '0'],
    ['LADING_WORKERS', '0'],
    ['LADING_BUFFER_BYTES', '1MiB'],
    ['LADING_DURABILITY', 'none'],
    ['LADING_IDLE_SECONDS', ' x\ny'],
    ['LADING_MIN_BYTES_PER_SECOND', '-1'],
    ['LADING_TRUST_PROXY', 'yes'],
    ['LADING_TRUST_PROXY', '10.0.0.0/33'],
    ['LADING_TRUST_PROXY', '10.0.0.1,,'],
    ['LADING_ALLOWED_ORIGINS', 'https://*.example.org'],
    ['LADING_ALLOWED_ORIGINS', '*, https://*'],
    ['LADING_ALLOWED_ORIGINS', 'null'],
    ['LADING_PUBLIC_URL', 'files.example.org'],
    ['LADING_PUBLIC_URL', 'https://files.example.org//app'],
    ['LADING_PUBLIC_URL', 'https://files.example.org/%2fapp'],
    ['LADING_PUBLIC_URL', 'https://files.example.org/a;Secure'],
    ['LADING_PUBLIC_URL', 'https://files.example.org/%zz'],
    ['LADING_PUBLIC_URL', `https://files.example.org/${'a'.repeat(300)}`],
    ['LADING_PUBLIC_URL', 'https://files.example.org/#x'],
    ['LADING_PUBLIC_URL', 'https://files.example.org?x'],
    ['LADING_PUBLIC_URL', 'https://me@files.example.org'],
    ['LADING_PUBLIC_URL', 'ftp://files.example.org'],
    ['LADING_REGISTRATION', 'yes'],
    ['LADING_PASSWORD_GRANT', 'yes'],
    ['LADING_LOG_LEVEL', 'loud'],
    ['LADING_SHUTDOWN_SECONDS', 'soon'],
    ['LADING_ADMIN_ID', 'a b'],
  ];
  for (const [name, value] of bad) {
    assert.ok(refusal({ [name]: value }).startsWith(`${name} `), name);
    const flag = SETTINGS.find((setting) => setting.env === name)?.flag ?? '';
    assert.ok(refusal({}, { [flag]: value }).startsWith(`--${flag} `), flag);
  }
  assert.match(refusal({}, { port: '' }), /^--port must not be empty/);
});

test('settings that depend on each other must be set together', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lading-config-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  assert.match(refusal({ LADING_ADMIN_ID: 'a' }), /LADING_ADMIN_SECRET/);
  assert.match(refusal({ LADING_ADMIN_SECRET: 'hush: 4 blue kettles' }), /LADING_ADMIN_ID/);
  assert.doesNotMatch(refusal({ LADING_ADMIN_SECRET: 'hush: 4 blue kettles' }), /hush/);
  assert.match(refusal({ LADING_OIDC_ISSUER: 'https://a.example' }), /^LADING_OIDC_CLIENT_SECRET must .*OIDC_ISSUER$/);
  assert.match(refusal({ LADING_OIDC_CLIENT_ID: 'a' }), /^LADING_OIDC_ISSUER must .*OIDC_CLIENT_ID$/);
  assert.match(refusal({ LADING_YANDEX_CLIENT_SECRET: 'a' }), /^LADING_YANDEX_CLIENT_ID must .*YANDEX_CLIENT_SECRET$/);
  const files = await tlsSettings(folder);
  assert.match(refusal({ LADING_TLS_CERT: files.LADING_TLS_CERT }), /LADING_TLS_KEY/);
  assert.match(refusal({ ...files, LADING_TLS_KEY: join(folder, 'none.pem') }), /^LADING_TLS_KEY .*ENOENT/);
  const { config } = loadConfig({}, files);
  assert.match(config.tls?.cert.toString() ?? '', /BEGIN CERTIFICATE/);
});

test('probable mistakes cause warnings', () => {
  const useless = { LADING_JWT_ALGORITHM: 'eddsa', LADING_JWT_SECRET: 'x'.repeat(32) };
  assert.match(loadConfig({}, useless).warnings.join('\n'), /^LADING_JWT_SECRET .*EdDSA$/);
  const warned = loadConfig({}, { LADING_PROT: '80', LADING_VOICE: 'console', OTHER: 'x' }).warnings;
  assert.equal(warned.length, 2);
  assert.match(warned.join('\n'), /LADING_PROT .*\(did you mean LADING_PORT\?\).*\n.*LADING_VOICE/);
  assert.doesNotMatch(loadConfig({}, { LADING_FROBNICATE: '1' }).warnings.join('\n'), /did you mean/);
  assert.deepEqual(loadConfig({}, { LADING_CA: 'ca.pem', LADING_TARGET_PASSWORD: 'x' }).warnings, []);
});

test('unknown flags, arguments that are not flags and missing values are refused', () => {
  for (const argv of [['--prot', '1'], ['start'], ['--port'], ['-p', '1']]) {
    assert.throws(() => parseFlags(argv), ConfigError, argv.join(' '));
  }
  assert.throws(() => parseFlags(['--prot', '1']), /'--prot' \(did you mean --port\?\); "lading serve --help" lists/);
});

test('sizes are parsed to whole numbers of bytes', () => {
  const sizes: [string, number | null][] = [
    ['0', 0],
    ['1048576', 1048576],
    ['64MiB', 64 * 1024 ** 2],
    ['64 mib', 64 * 1024 ** 2],
    ['1GiB', 1024 ** 3],
    ['2TB', 2e12],
    ['5KB', 5000],
    ['8k', 8192],
    ['1.5GiB', 1.5 * 1024 ** 3],
    ['10B', 10],
    ['', null],
    ['MiB', null],
    ['-1', null],
    ['1.5', null],
    ['0x10', null],
    ['1e3', null],
    ['1XiB', null],
    ['99999TiB', null],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, text);
});

test('any value of a variable is accepted or refused in one line', () => {
  const names = SETTINGS.filter(({ kind }) => kind !== 'file').map(({ env }) => env);
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.string(), (name, value) => {
      try {
        loadConfig({}, { [name]: value });
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
        assert.doesNotMatch(error.message, /\n/);
      }
    }),
  );
});

test('help and documentation name every setting', () => {
  for (const { env, flag, help } of SETTINGS) {
    for (const text of [helpText(), settingsTable()]) {
      assert.ok(text.includes(env) && text.includes(`--${flag}`) && text.includes(help), env);
    }
  }
  assert.equal(new Set(SETTINGS.map(({ env }) => env)).size, SETTINGS.length);
  assert.equal(new Set(SETTINGS.map(({ flag }) => flag)).size, SETTINGS.length);
});

test('a guessable secret is refused in one line that names the setting but not its value', () => {
  const together = { LADING_ADMIN_ID: 'boss' };
  for (const weak of ['a', 'secret', 'password', 'Password1', '12345678', 'aaaaaaaaaaaa', 'qwertyuiop', 'admin123']) {
    for (const [name, others] of [
      ['LADING_ADMIN_SECRET', together],
      ['DASHBOARD_PASSWORD', {}],
    ] as const) {
      const line = refusal({ ...others, [name]: weak });
      assert.match(line, new RegExp(`^${name} is too weak: [^\n]*$`), weak);
      assert.ok(!line.includes(`"${weak}"`), line);
    }
  }
  for (const name of ['LADING_JWT_SECRET', 'LADING_SEALING_KEY']) {
    assert.match(refusal({ [name]: 'x'.repeat(31) }), new RegExp(`^${name} is too weak: .*32 bytes`));
  }
  const strong = { ...together, LADING_ADMIN_SECRET: 'a:b+c %41/é', DASHBOARD_PASSWORD: 'four words of a page' };
  assert.equal(loadConfig({}, strong).config.adminSecret, strong.LADING_ADMIN_SECRET);
  assert.equal(loadConfig({}, { LADING_JWT_SECRET: 'k'.repeat(32) }).config.jwtSecret, 'k'.repeat(32));
});
