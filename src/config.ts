/** From environment and flags to one validated object. The only reader of process.env. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { validate as isCron } from 'node-cron';
import { Compat, FAMILIES, type Family } from './compat.ts';
import { hint, variableHint } from './hints.ts';
import { isPrefix } from './http/prefix.ts';
import { checkPasswordNow, PASSWORD_CHARACTERS } from './identity/passwords.ts';
import { takeOldSettings } from './old-settings.ts';
import { bytesOf } from './protocol/sizes.ts';
import { type Kind, type KindTypes, SETTINGS, type Setting } from './settings.ts';
import { NotRead, readSmallFile } from './small-file.ts';

/** A setting that the server cannot start with; the message is one line that names it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

type Table = (typeof SETTINGS)[number];

/** The server's settings: sizes in bytes, `dataDir` absolute. */
export type Config = { readonly [S in Table as S['name']]: KindTypes[S['kind']] } & {
  /** Contents of `tlsCert` and `tlsKey`; null: plain HTTP. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
};

export interface Loaded {
  config: Config;
  /** Lines for the log: things that are allowed and probably not meant. */
  warnings: string[];
  /** Lines for the log: what was taken for what. */
  notes: string[];
  /** By name of a setting: the flag or variable that says it, an old variable by its old name; absent: the default. */
  sources: ReadonlyMap<string, string>;
}

/** As `bytesOf`; null also for what is no whole number of bytes. */
export function parseSize(text: string): number | null {
  const bytes = bytesOf(text);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** What is wrong with a value, in words that complete "NAME …". */
class Refused extends Error {}

function bounded(value: number | null, setting: Setting, what: string): number {
  const min = setting.min ?? 0;
  const max = setting.max ?? Number.MAX_SAFE_INTEGER;
  if (value === null || value < min || value > max) {
    throw new Refused(
      `must be ${what} ${max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`}`,
    );
  }
  return value;
}

function oneOf<T extends string>(text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value.toLowerCase() === text.toLowerCase());
  if (found === undefined) throw new Refused(`must be one of ${allowed.join(', ')}`);
  return found;
}

function parseProxies(text: string): readonly string[] {
  if (text.toLowerCase() === 'none') return [];
  const list = text.split(',').map((part) => part.trim());
  for (const part of list) {
    const [address = '', bits, more] = part.split('/');
    const version = isIP(address);
    const range = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 6 ? 128 : 32));
    const known = ['loopback', 'linklocal', 'uniquelocal'].includes(part);
    if (!known && (version === 0 || !range || more !== undefined)) {
      throw new Refused(
        'must be none, or a comma-separated list of addresses, CIDR ranges, loopback, linklocal, uniquelocal',
      );
    }
  }
  return list;
}

/** RFC 7518 §3.2: as long as the hash of HS256. */
const KEY_BYTES = 32;
/** Longer secrets were not thought up by a person. */
const GUESSABLE_CHARACTERS = 64;

/** Refuses secrets that somebody could guess who tries. */
function checkSecret(text: string, { strength }: Setting): string {
  if (strength === 'key' && Buffer.byteLength(text) < KEY_BYTES) {
    throw new Refused(`is too weak: a key needs at least ${KEY_BYTES} bytes; "openssl rand -base64 32" makes one`);
  }
  if (strength === 'password' && text.length <= GUESSABLE_CHARACTERS) {
    try {
      checkPasswordNow(text, { email: '' });
    } catch {
      const what = `at least ${PASSWORD_CHARACTERS.least} characters that are hard to guess`;
      throw new Refused(`is too weak: it needs ${what}; "openssl rand -base64 32" makes one`);
    }
  }
  return text;
}

function bareOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const bare = url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  if (!bare) throw new Refused('must be http:// or https:// with a host, a port if need be, and no path');
  // It would match no browser's origin.
  if (url.hostname.includes('*')) throw new Refused('must name each host; there is no * for a part of one');
  return url.origin;
}

function parseCompat(text: string): Compat {
  if (text.toLowerCase() === 'none') return new Compat();
  return new Compat(text.split(',').map((part) => familyOf(part.trim().toLowerCase())));
}

function familyOf(name: string): Family {
  const found = FAMILIES.find((family) => family === name);
  if (found !== undefined) return found;
  throw new Refused(`must be none, or a list of ${FAMILIES.join(', ')}${hint(name, FAMILIES, 2)}`);
}

const PARSERS: { [K in Kind]: (text: string, setting: Setting) => KindTypes[K] } = {
  text: (text) => text,
  name: (text) => text,
  secret: checkSecret,
  path: (text) => resolve(text),
  file: (text) => resolve(text),
  id: (text) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) {
      throw new Refused('must be 1 to 64 letters, digits or any of . _ - and begin with a letter or digit');
    }
    return text;
  },
  int: (text, setting) => bounded(/^\d{1,15}$/.test(text) ? Number(text) : null, setting, 'a whole number'),
  size: (text, setting) => bounded(parseSize(text), setting, 'a size in bytes (64MiB, 1GiB, 5MB or a plain number)'),
  cron: (text) => {
    if (!isCron(text)) throw new Refused('must be a cron expression like "0 * * * *"');
    return text;
  },
  durability: (text) => oneOf(text, ['chunk', 'seal']),
  level: (text) => oneOf(text, ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  proxies: parseProxies,
  registration: (text) => oneOf(text, ['open', 'closed']),
  algorithm: (text) => oneOf(text, ['HS256', 'EdDSA', 'RS256']),
  switch: (text) => oneOf(text, ['on', 'off']),
  voice: (text) => oneOf(text, ['off', 'console', 'http', 'sip']),
  sip: (text) => {
    // It is written into a file of settings, a line each.
    if (!/^sips?:[\w.+~-]{1,64}@[\w.-]{1,253}(:\d{1,5})?$/.test(text)) {
      throw new Refused('must be an address like sip:lading@pbx.example.org');
    }
    return text;
  },
  guarded: (text) => (text === 'none' ? [] : text.split(',').map((part) => oneOf(part.trim(), ['downloads', 'share']))),
  url: (text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (
      url === null ||
      !/^https?:$/.test(url.protocol) ||
      url.username !== '' ||
      url.search !== '' ||
      url.hash !== ''
    ) {
      throw new Refused('must be an address like https://login.example.org/realm');
    }
    return text;
  },
  site: (text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const path = url?.pathname.replace(/\/$/, '') ?? '';
    const bare =
      url !== null && /^https?:$/.test(url.protocol) && url.href.replace(/\/$/, '') === `${url.origin}${path}`;
    if (!bare || !isPrefix(path)) {
      throw new Refused('must be http:// or https:// with a host, a port and a path if need be, and nothing else');
    }
    return `${url.origin}${path}`;
  },
  origins: (text) => {
    if (text.toLowerCase() === 'none') return [];
    return text.split(',').map((part) => {
      const origin = part.trim();
      return origin === '*' ? origin : bareOrigin(origin);
    });
  },
  origin: bareOrigin,
  compat: parseCompat,
};

interface Source {
  text: string;
  /** How the person wrote it: `LADING_PORT`, `--port`, or `PORT` as an older server had it. */
  label: string;
  isDefault?: true;
}

function sourceOf(setting: Setting, env: Environment, flags: Flags): Source | null {
  const flag = flags[setting.flag];
  if (flag !== undefined) return { text: flag.trim(), label: `--${setting.flag}` };
  const text = env[setting.env]?.trim();
  // An empty variable counts as absent: that is how container files and unit files unset one.
  if (text !== undefined && text !== '') return { text, label: setting.env };
  return setting.default === null ? null : { text: setting.default, label: setting.env, isDefault: true };
}

function read(setting: Setting, source: Source): unknown {
  try {
    if (source.text === '') throw new Refused('must not be empty');
    return PARSERS[setting.kind](source.text, setting);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const shown = setting.kind === 'secret' ? '' : `, not ${JSON.stringify(source.text.slice(0, 80))}`;
    throw new ConfigError(`${source.label} ${error.message}${shown}`);
  }
}

function readPem(path: string, label: string): Buffer {
  try {
    return readSmallFile(path);
  } catch (error) {
    if (!(error instanceof NotRead)) throw error;
    throw new ConfigError(`${label} names a file that ${error.message}: ${JSON.stringify(path)}`);
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;
/** By the flag's name without dashes, as the person wrote the value. */
export type Flags = Readonly<Record<string, string | undefined>>;

/**
 * Reads and checks every setting; a flag wins over the environment.
 * @throws ConfigError with one line that names the bad setting
 */
export function loadConfig(flags: Flags = {}, given: Environment = process.env): Loaded {
  const table: readonly Setting[] = SETTINGS;
  const old = takeOldSettings(
    given,
    (name) => table.some(({ env, kind }) => env === name && kind === 'secret'),
    (name) => table.some(({ env, flag }) => env === name && flags[flag] !== undefined),
  );
  const values: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const setting of table) {
    const source = sourceOf(setting, old.env, flags);
    const label = source?.label === setting.env ? (old.taken.get(setting.env) ?? setting.env) : source?.label;
    values[setting.name] = source === null ? null : read(setting, { ...source, label: label ?? setting.env });
    if (label !== undefined && source?.isDefault !== true) sources.set(setting.name, label);
  }
  // The table is what ties names to kinds; each value was made by the parser of its kind just above.
  const config = values as Omit<Config, 'tls'>;
  const tls = checkTogether(config);
  const compat = config.compat.lines();
  const warnings = [...old.warnings, ...compat.warnings, ...warningsOf(config, given)];
  return { config: Object.freeze({ ...config, tls }), warnings, notes: [...old.notes, ...compat.notes], sources };
}

function checkTogether(config: Omit<Config, 'tls'>): Config['tls'] {
  if ((config.adminId === null) !== (config.adminSecret === null)) {
    const [absent, given] = config.adminId === null ? ['ID', 'SECRET'] : ['SECRET', 'ID'];
    throw new ConfigError(`LADING_ADMIN_${absent} must be set together with LADING_ADMIN_${given}`);
  }
  for (const [who, issuer, secret] of [
    ['OIDC', config.oidcIssuer, config.oidcClientSecret],
    ['YANDEX', config.yandexClientId, config.yandexClientSecret],
  ] as const) {
    if ((issuer === null) !== (secret === null)) {
      throw new ConfigError(
        `LADING_${who}_CLIENT_SECRET must be set together with LADING_${who}_${who === 'OIDC' ? 'ISSUER' : 'CLIENT_ID'}`,
      );
    }
  }
  if ((config.oidcIssuer === null) !== (config.oidcClientId === null)) {
    throw new ConfigError('LADING_OIDC_CLIENT_ID must be set together with LADING_OIDC_ISSUER');
  }
  if (config.voice === 'http') {
    for (const [name, value] of [
      ['ACCOUNT', config.voiceAccount],
      ['TOKEN', config.voiceToken],
      ['FROM', config.voiceFrom],
    ] as const) {
      if (value === null) throw new ConfigError(`LADING_VOICE=http needs LADING_VOICE_${name}`);
    }
  }
  if (config.voice === 'sip' && config.sipAddress === null)
    throw new ConfigError('LADING_VOICE=sip needs LADING_SIP_ADDRESS');
  if ((config.tlsCert === null) !== (config.tlsKey === null)) {
    const [absent, given] = config.tlsCert === null ? ['CERT', 'KEY'] : ['KEY', 'CERT'];
    throw new ConfigError(`LADING_TLS_${absent} must be set together with LADING_TLS_${given}`);
  }
  return readTls(config);
}

/**
 * The certificate and its key as they are in their files now; null without TLS.
 * @throws ConfigError when a file cannot be read
 */
export function readTls({ tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>): Config['tls'] {
  if (tlsCert === null || tlsKey === null) return null;
  return { cert: readPem(tlsCert, 'LADING_TLS_CERT'), key: readPem(tlsKey, 'LADING_TLS_KEY') };
}

function warningsOf(config: Omit<Config, 'tls'>, env: Environment): string[] {
  const known = new Set<string>(SETTINGS.map((setting) => setting.env));
  const warnings = Object.keys(env)
    .filter((name) => name.startsWith('LADING_') && !known.has(name) && !CLIENT_VARIABLES.has(name))
    .sort()
    .map((name) => `${name} is not a setting of the server${variableHint(name)}; it was ignored`);
  if (config.jwtSecret !== null && config.jwtAlgorithm !== 'HS256') {
    warnings.push(`LADING_JWT_SECRET is of no use with LADING_JWT_ALGORITHM=${config.jwtAlgorithm}`);
  }
  if (config.voice === 'console')
    warnings.push('LADING_VOICE=console shows the codes of calls in this terminal; it is for development');
  if (config.requireOtp.length > 0 && config.voice === 'off') {
    warnings.push(
      'LADING_REQUIRE_OTP asks for verified calls, but LADING_VOICE=off places none: nobody can do what it guards',
    );
  }
  return warnings;
}

/** Read by the command-line client; no reason to warn when they are set in the same shell. */
export const CLIENT_VARIABLES: ReadonlySet<string> = new Set([
  'LADING_SERVER',
  'LADING_TOKEN',
  'LADING_CLIENT_ID',
  'LADING_CLIENT_SECRET',
  'LADING_CONFIG',
  'LADING_CA',
  'LADING_TARGET_PASSWORD',
]);

/** `--flag -1` as `--flag=-1`: a negative number is a value, and a bad one is told as such. */
function withValues(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of argv) {
    const last = joined.at(-1);
    if (/^-\d/.test(word) && last !== undefined && /^--[^=]+$/.test(last)) joined.push(`${joined.pop()}=${word}`);
    else joined.push(word);
  }
  return joined;
}

/**
 * Flags of `lading serve` from an argument vector (without node and script).
 * @throws ConfigError for an unknown flag, a flag without value, or a stray word
 */
export function parseFlags(argv: readonly string[]): Flags {
  const options = Object.fromEntries(SETTINGS.map((setting) => [setting.flag, { type: 'string' as const }]));
  try {
    const { values } = parseArgs({ args: withValues(argv), options, strict: true, allowPositionals: false });
    return Object.fromEntries(
      Object.entries(values).map(([flag, value]) => [flag, typeof value === 'string' ? value : undefined]),
    );
  } catch (error) {
    const [line = 'bad flags'] = error instanceof Error ? error.message.split('\n') : [];
    const [, flag] = /^Unknown option '--([^']+)'/.exec(line) ?? [];
    const near =
      flag === undefined
        ? ''
        : hint(
            flag,
            Object.keys(options).map((known) => `--${known}`),
          );
    throw new ConfigError(`${line}${near}; "lading serve --help" lists the flags`);
  }
}
