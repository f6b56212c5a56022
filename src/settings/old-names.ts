/** Settings of older servers: which are taken here, under which name, and which mean nothing here. */
import type { Family } from './compat.ts';

/** What an old value becomes: the text of the new setting, or why it is not taken (completes "NAME was not taken: …"). */
type Meaning = { readonly text: string } | { readonly not: string };

export interface OldSetting {
  readonly old: string;
  readonly families: readonly Family[];
  /** The corresponding setting of this server; null: no setting corresponds. */
  readonly now: string | null;
  /** What became of it, for people: how the value is converted, or what to do instead. */
  readonly note: string;
  /** Converts the value; without it the text is taken as it is. */
  readonly means?: (text: string) => Meaning;
}

const KEY_BYTES = 32;

/** A weak key of an older server must not stop the start: nothing that is kept here depends on it. */
function signingKey(text: string): Meaning {
  if (Buffer.byteLength(text) >= KEY_BYTES) return { text };
  return { not: `a key needs at least ${KEY_BYTES} bytes; the server signs with a key that it makes and keeps itself` };
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** What a cron expression can say, in seconds: what divides a minute, an hour, a day. */
const PERIODS: readonly (readonly [seconds: number, cron: string])[] = [
  ...[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map((n) => [n, `*/${n} * * * * *`] as const),
  ...[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map((n) => [n * MINUTE, `*/${n} * * * *`] as const),
  [HOUR, '0 * * * *'],
  ...[2, 3, 4, 6, 8, 12].map((n) => [n * HOUR, `0 */${n} * * *`] as const),
  [DAY, '0 0 * * *'],
];

/** Seconds as the longest period of a cron expression that is no longer. */
function cronOf(text: string): Meaning {
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  const found = PERIODS.findLast(([period]) => period <= seconds);
  return found ? { text: found[1] } : { not: 'it must be a whole number of seconds of at least 1' };
}

const YANDEX_CALLBACK = '/v1/auth/yandex/callback';

function siteOfCallback(text: string): Meaning {
  if (URL.canParse(text) && text.endsWith(YANDEX_CALLBACK)) return { text: text.slice(0, -YANDEX_CALLBACK.length) };
  return {
    not: `the provider sends people back to PUBLIC_URL${YANDEX_CALLBACK}; set LADING_PUBLIC_URL and register that`,
  };
}

const DATABASE = 'No database is needed. Everything is stored in LADING_DATA_DIR.';

/** In order of precedence where two are taken as the same setting. */
export const OLD_SETTINGS: readonly OldSetting[] = [
  {
    old: 'SECRET_KEY',
    families: ['file-transfer', 'audio-ftp', 'talk', 'audio-hosting'],
    now: 'LADING_JWT_SECRET',
    note: 'Used if it has at least 32 bytes. Otherwise the server creates a key and stores it.',
    means: signingKey,
  },
  {
    old: 'JWT_SECRET',
    families: ['ops-client'],
    now: 'LADING_JWT_SECRET',
    note: 'Used if it has at least 32 bytes. Otherwise the server creates a key and stores it.',
    means: signingKey,
  },
  {
    old: 'JWT_ALGO',
    families: ['ops-client'],
    now: 'LADING_JWT_ALGORITHM',
    note: 'HS256, EdDSA and RS256 are accepted, others are ignored.',
    means: (text) =>
      ['hs256', 'eddsa', 'rs256'].includes(text.toLowerCase())
        ? { text }
        : { not: 'tokens are signed with HS256, EdDSA or RS256; LADING_JWT_ALGORITHM says which' },
  },
  {
    old: 'ACCESS_TOKEN_EXPIRE_MINUTES',
    families: ['file-transfer'],
    now: 'LADING_TOKEN_MINUTES',
    note: 'Both are minutes.',
  },
  {
    old: 'UPLOAD_DIR',
    families: ['file-transfer'],
    now: 'LADING_DATA_DIR',
    note: 'Everything is stored in its subdirectory `v1`. Files of the older server are neither changed nor served; upload them.',
  },
  {
    old: 'STALE_UPLOAD_TIMEOUT_SECONDS',
    families: ['file-transfer'],
    now: 'LADING_STALE_SECONDS',
    note: 'Both are seconds. A stalled upload is parked, not deleted.',
  },
  {
    old: 'CLEANUP_INTERVAL_SECONDS',
    families: ['file-transfer'],
    now: 'LADING_CLEANUP_CRON',
    note: 'The seconds become a cron expression with the longest period that divides a minute, an hour or a day and does not exceed the value.',
    means: cronOf,
  },
  {
    old: 'PORT',
    families: ['file-transfer', 'talk'],
    now: 'LADING_PORT',
    note: 'The same.',
  },
  {
    old: 'YANDEX_CLIENT_ID',
    families: ['audio-hosting'],
    now: 'LADING_YANDEX_CLIENT_ID',
    note: 'The same.',
  },
  {
    old: 'YANDEX_CLIENT_SECRET',
    families: ['audio-hosting'],
    now: 'LADING_YANDEX_CLIENT_SECRET',
    note: 'The same.',
  },
  {
    old: 'YANDEX_REDIRECT_URI',
    families: ['audio-hosting'],
    now: 'LADING_PUBLIC_URL',
    note: `The part before ${YANDEX_CALLBACK} is used; other paths are ignored.`,
    means: siteOfCallback,
  },
  {
    old: 'AUDIO_STORAGE_PATH',
    families: ['audio-hosting'],
    now: 'LADING_DATA_DIR',
    note: 'Everything is stored in its subdirectory `v1`. Files of the older server are neither changed nor served; upload them.',
  },
  ...['DB_NAME', 'DB_USER', 'DB_PASSWORD', 'DB_HOST', 'DB_PORT'].map((old) => ({
    old,
    families: ['audio-hosting'] as const,
    now: null,
    note: DATABASE,
  })),
  {
    old: 'FLASK_ENV',
    families: ['talk'],
    now: null,
    note: 'A development mode does not exist. LADING_LOG_LEVEL=debug shows more.',
  },
];

/** What is set, by the name of the variable. */
type Variables = Readonly<Record<string, string | undefined>>;

export interface Renamed {
  /** The variables, with those that were taken under their new names. */
  env: Variables;
  /** By new name: the old one it was taken from. */
  taken: ReadonlyMap<string, string>;
  /** Lines for the log; no value of a secret is in one. */
  notes: string[];
  warnings: string[];
}

/** Whether a variable was a setting of an older server. */
export function isOldSetting(name: string): boolean {
  return OLD_SETTINGS.some(({ old }) => old === name);
}

/**
 * Takes the settings of older servers that are set. A new name wins over an old one.
 * @param isSecret of a new name: its value is not logged
 * @param isGiven of a new name: a flag says it already
 */
export function takeOldSettings(
  given: Variables,
  isSecret: (name: string) => boolean,
  isGiven: (name: string) => boolean,
): Renamed {
  const env: Record<string, string | undefined> = { ...given };
  const taken = new Map<string, string>();
  const notes: string[] = [];
  const warnings: string[] = [];
  for (const { old, now, note, means } of OLD_SETTINGS) {
    // An empty variable counts as absent.
    const text = given[old]?.trim();
    if (text === undefined || text === '') continue;
    if (now === null) {
      warnings.push(`${old} is a setting of an older server and means nothing here. ${note}`);
      continue;
    }
    if (isGiven(now) || (env[now]?.trim() ?? '') !== '') {
      notes.push(`${old} was ignored: ${taken.get(now) ?? now} is set too, and wins`);
      continue;
    }
    const meaning: Meaning = means?.(text) ?? { text };
    if ('not' in meaning) {
      warnings.push(`${old} was not taken: ${meaning.not}`);
      continue;
    }
    env[now] = meaning.text;
    taken.set(now, old);
    const value = isSecret(now) ? '' : `=${meaning.text}`;
    notes.push(`${old} is an old name: it was taken as ${now}${value}`);
  }
  return { env, taken, notes, warnings };
}
