/** Parses the text of a setting by its kind. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { validate as isCron } from 'node-cron';
import { checkPasswordNow, PASSWORD_LENGTH } from '../identity/credentials/passwords.ts';
import { isPrefix } from '../protocol/http/path-prefix.ts';
import { bytesOf } from '../protocol/sizes.ts';
import { Compat, FAMILIES, type Family } from './compat.ts';
import { hint } from './hints.ts';
import type { Kind, KindTypes, Setting } from './setting.ts';

/** Parses a size to bytes. Returns null for any other text, and for a fraction of a byte. */
export function parseSize(text: string): number | null {
  const bytes = bytesOf(text);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** A value is invalid. The message completes "NAME …". */
export class InvalidValue extends Error {}

function bounded(value: number | null, setting: Setting, what: string): number {
  const min = setting.min ?? 0;
  const max = setting.max ?? Number.MAX_SAFE_INTEGER;
  if (value === null || value < min || value > max) {
    throw new InvalidValue(
      `must be ${what} ${max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`}`,
    );
  }
  return value;
}

function oneOf<T extends string>(text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value.toLowerCase() === text.toLowerCase());
  if (found === undefined) throw new InvalidValue(`must be one of ${allowed.join(', ')}`);
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
      throw new InvalidValue(
        'must be none, or a comma-separated list of addresses, CIDR ranges, loopback, linklocal, uniquelocal',
      );
    }
  }
  return list;
}

/** Shortest key in bytes: the length of a SHA-256 hash (RFC 7518 §3.2). */
const KEY_BYTES = 32;
/** Longer secrets are assumed to be generated and are not checked against common passwords. */
const GUESSABLE_CHARACTERS = 64;

/** Rejects secrets that can be guessed. */
function checkSecret(text: string, { strength }: Setting): string {
  if (strength === 'key' && Buffer.byteLength(text) < KEY_BYTES) {
    throw new InvalidValue(
      `is too weak: a key needs at least ${KEY_BYTES} bytes; "openssl rand -base64 32" generates one`,
    );
  }
  if (strength === 'password' && text.length <= GUESSABLE_CHARACTERS) {
    try {
      checkPasswordNow(text, { email: '' });
    } catch {
      const what = `at least ${PASSWORD_LENGTH.min} characters that are hard to guess`;
      throw new InvalidValue(`is too weak: it needs ${what}; "openssl rand -base64 32" generates one`);
    }
  }
  return text;
}

function bareOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const bare = url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`;
  if (!bare) throw new InvalidValue('must be http:// or https:// with a host, an optional port and no path');
  // Browsers never send such an origin.
  if (url.hostname.includes('*'))
    throw new InvalidValue('must name each host in full; * cannot replace a part of a host name');
  return url.origin;
}

function parseCompat(text: string): Compat {
  if (text.toLowerCase() === 'none') return new Compat();
  return new Compat(text.split(',').map((part) => familyOf(part.trim().toLowerCase())));
}

function familyOf(name: string): Family {
  const found = FAMILIES.find((family) => family === name);
  if (found !== undefined) return found;
  throw new InvalidValue(`must be none, or a list of ${FAMILIES.join(', ')}${hint(name, FAMILIES, 2)}`);
}

/** The parser of each kind. It throws `InvalidValue` for an invalid text. */
export const PARSERS: { [K in Kind]: (text: string, setting: Setting) => KindTypes[K] } = {
  text: (text) => text,
  name: (text) => text,
  secret: checkSecret,
  path: (text) => resolve(text),
  file: (text) => resolve(text),
  id: (text) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) {
      throw new InvalidValue('must be 1 to 64 letters, digits or any of . _ - and begin with a letter or digit');
    }
    return text;
  },
  int: (text, setting) => bounded(/^\d{1,15}$/.test(text) ? Number(text) : null, setting, 'a whole number'),
  size: (text, setting) => bounded(parseSize(text), setting, 'a size in bytes (64MiB, 1GiB, 5MB or a plain number)'),
  cron: (text) => {
    if (!isCron(text)) throw new InvalidValue('must be a cron expression like "0 * * * *"');
    return text;
  },
  durability: (text) => oneOf(text, ['chunk', 'seal']),
  storage: (text) => oneOf(text, ['disk', 'lmdb']),
  level: (text) => oneOf(text, ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  proxies: parseProxies,
  registration: (text) => oneOf(text, ['open', 'closed']),
  algorithm: (text) => oneOf(text, ['HS256', 'EdDSA', 'RS256']),
  switch: (text) => oneOf(text, ['on', 'off']),
  voice: (text) => oneOf(text, ['off', 'console', 'http', 'sip']),
  sip: (text) => {
    // The address is written into the configuration of baresip, so it must not contain a line break.
    if (!/^sips?:[\w.+~-]{1,64}@[\w.-]{1,253}(:\d{1,5})?$/.test(text)) {
      throw new InvalidValue('must be an address like sip:lading@pbx.example.org');
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
      throw new InvalidValue('must be an address like https://login.example.org/realm');
    }
    return text;
  },
  site: (text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const path = url?.pathname.replace(/\/$/, '') ?? '';
    const bare =
      url !== null && /^https?:$/.test(url.protocol) && url.href.replace(/\/$/, '') === `${url.origin}${path}`;
    if (!bare || !isPrefix(path)) {
      throw new InvalidValue(
        'must be http:// or https:// with a host, an optional port, an optional path and nothing else',
      );
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
