/** Settings of older servers: which settings of this server replace them, and which have no replacement. */
import type { Family } from './compat.ts';

/** The result of converting an old value: the text of the new setting, or why it is ignored (completes "NAME was ignored: …"). */
type Conversion = { readonly text: string } | { readonly rejected: string };

export interface OldSetting {
  readonly name: string;
  readonly families: readonly Family[];
  /** The variable of this server that replaces it; null: none. */
  readonly replacement: string | null;
  /** For people: how the value is converted, or what to do instead. */
  readonly note: string;
  /** Converts the value. Without it, the text is used unchanged. */
  readonly convert?: (text: string) => Conversion;
}

const KEY_BYTES = 32;

/** Rejects a weak key with a warning. It must not stop the start, because nothing that this server stores depends on it. */
function signingKey(text: string): Conversion {
  if (Buffer.byteLength(text) >= KEY_BYTES) return { text };
  return {
    rejected: `a key needs at least ${KEY_BYTES} bytes; the server creates and stores its own signing key`,
  };
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** The periods that a cron expression can express: those that divide a minute, an hour or a day. */
const PERIODS: readonly (readonly [seconds: number, cron: string])[] = [
  ...[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map((n) => [n, `*/${n} * * * * *`] as const),
  ...[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map((n) => [n * MINUTE, `*/${n} * * * *`] as const),
  [HOUR, '0 * * * *'],
  ...[2, 3, 4, 6, 8, 12].map((n) => [n * HOUR, `0 */${n} * * *`] as const),
  [DAY, '0 0 * * *'],
];

/** Converts seconds to the cron expression with the longest period that does not exceed them. */
function cronOf(text: string): Conversion {
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  const found = PERIODS.findLast(([period]) => period <= seconds);
  return found ? { text: found[1] } : { rejected: 'it must be a whole number of seconds of at least 1' };
}

const YANDEX_CALLBACK = '/v1/auth/yandex/callback';

/** Derives the public address of the server from the address of its Yandex callback. */
function siteOfCallback(text: string): Conversion {
  if (URL.canParse(text) && text.endsWith(YANDEX_CALLBACK)) return { text: text.slice(0, -YANDEX_CALLBACK.length) };
  return {
    rejected: `the callback is PUBLIC_URL${YANDEX_CALLBACK}; set LADING_PUBLIC_URL and register that address with the provider`,
  };
}

const DATABASE = 'No database is needed. Everything is stored in LADING_DATA_DIR.';

/** Every setting of the older servers. If two have the same replacement, the first takes precedence. */
export const OLD_SETTINGS: readonly OldSetting[] = [
  {
    name: 'SECRET_KEY',
    families: ['file-transfer', 'audio-ftp', 'talk', 'audio-hosting'],
    replacement: 'LADING_JWT_SECRET',
    note: 'Used if it has at least 32 bytes. Otherwise the server creates a key and stores it.',
    convert: signingKey,
  },
  {
    name: 'JWT_SECRET',
    families: ['ops-client'],
    replacement: 'LADING_JWT_SECRET',
    note: 'Used if it has at least 32 bytes. Otherwise the server creates a key and stores it.',
    convert: signingKey,
  },
  {
    name: 'JWT_ALGO',
    families: ['ops-client'],
    replacement: 'LADING_JWT_ALGORITHM',
    note: 'HS256, EdDSA and RS256 are accepted, others are ignored.',
    convert: (text) =>
      ['hs256', 'eddsa', 'rs256'].includes(text.toLowerCase())
        ? { text }
        : { rejected: 'tokens are signed with HS256, EdDSA or RS256; set LADING_JWT_ALGORITHM' },
  },
  {
    name: 'ACCESS_TOKEN_EXPIRE_MINUTES',
    families: ['file-transfer'],
    replacement: 'LADING_TOKEN_MINUTES',
    note: 'Both are minutes.',
  },
  {
    name: 'UPLOAD_DIR',
    families: ['file-transfer'],
    replacement: 'LADING_DATA_DIR',
    note: 'Everything is stored in its subdirectory `v1`. Files of the older server are neither changed nor served; upload them.',
  },
  {
    name: 'STALE_UPLOAD_TIMEOUT_SECONDS',
    families: ['file-transfer'],
    replacement: 'LADING_STALE_SECONDS',
    note: 'Both are seconds. A stalled upload is parked, not deleted.',
  },
  {
    name: 'CLEANUP_INTERVAL_SECONDS',
    families: ['file-transfer'],
    replacement: 'LADING_CLEANUP_CRON',
    note: 'The seconds become a cron expression with the longest period that divides a minute, an hour or a day and does not exceed the value.',
    convert: cronOf,
  },
  {
    name: 'PORT',
    families: ['file-transfer', 'talk'],
    replacement: 'LADING_PORT',
    note: 'The same.',
  },
  {
    name: 'YANDEX_CLIENT_ID',
    families: ['audio-hosting'],
    replacement: 'LADING_YANDEX_CLIENT_ID',
    note: 'The same.',
  },
  {
    name: 'YANDEX_CLIENT_SECRET',
    families: ['audio-hosting'],
    replacement: 'LADING_YANDEX_CLIENT_SECRET',
    note: 'The same.',
  },
  {
    name: 'YANDEX_REDIRECT_URI',
    families: ['audio-hosting'],
    replacement: 'LADING_PUBLIC_URL',
    note: `The part before ${YANDEX_CALLBACK} is used; other paths are ignored.`,
    convert: siteOfCallback,
  },
  {
    name: 'AUDIO_STORAGE_PATH',
    families: ['audio-hosting'],
    replacement: 'LADING_DATA_DIR',
    note: 'Everything is stored in its subdirectory `v1`. Files of the older server are neither changed nor served; upload them.',
  },
  ...['DB_NAME', 'DB_USER', 'DB_PASSWORD', 'DB_HOST', 'DB_PORT'].map((name) => ({
    name,
    families: ['audio-hosting'] as const,
    replacement: null,
    note: DATABASE,
  })),
  {
    name: 'FLASK_ENV',
    families: ['talk'],
    replacement: null,
    note: 'There is no development mode. LADING_LOG_LEVEL=debug shows more.',
  },
];

/** Environment variables by name. */
type Variables = Readonly<Record<string, string | undefined>>;

/** The environment after the settings of older servers were applied. */
export interface AppliedOldSettings {
  /** The variables, including the new names of old settings. */
  env: Variables;
  /** By new name: the old setting that its value came from. */
  oldNames: ReadonlyMap<string, string>;
  /** Lines for the log, without values of secrets. */
  notes: string[];
  warnings: string[];
}

/** True if an older server had a setting of this name. */
export function isOldSetting(name: string): boolean {
  return OLD_SETTINGS.some((setting) => setting.name === name);
}

/**
 * Applies the settings of older servers. A flag or variable of this server takes precedence over an old setting.
 * @param isSecret true for the new name of a secret, whose value must not be logged
 * @param hasFlag true for the new name of a setting that a flag sets
 */
export function applyOldSettings(
  given: Variables,
  isSecret: (name: string) => boolean,
  hasFlag: (name: string) => boolean,
): AppliedOldSettings {
  const env: Record<string, string | undefined> = { ...given };
  const oldNames = new Map<string, string>();
  const notes: string[] = [];
  const warnings: string[] = [];
  for (const { name, replacement, note, convert } of OLD_SETTINGS) {
    // An empty variable counts as absent.
    const text = given[name]?.trim();
    if (text === undefined || text === '') continue;
    if (replacement === null) {
      warnings.push(`${name} is a setting of an older server and has no effect here. ${note}`);
      continue;
    }
    if (hasFlag(replacement) || (env[replacement]?.trim() ?? '') !== '') {
      notes.push(`${name} was ignored: ${oldNames.get(replacement) ?? replacement} is also set and takes precedence`);
      continue;
    }
    const converted: Conversion = convert?.(text) ?? { text };
    if ('rejected' in converted) {
      warnings.push(`${name} was ignored: ${converted.rejected}`);
      continue;
    }
    env[replacement] = converted.text;
    oldNames.set(replacement, name);
    const value = isSecret(replacement) ? '' : `=${converted.text}`;
    notes.push(`${name} is a setting of an older server: it was read as ${replacement}${value}`);
  }
  return { env, oldNames, notes, warnings };
}
