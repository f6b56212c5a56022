/** Validates and normalises the names and addresses of people before they are stored. */
import { LadingError } from '../../errors.ts';
import { composedName, normalizeEmail } from './people.ts';

/** In characters. */
export const MAX_NAME = 100;
/** RFC 5321 §4.5.3.1: maximum length of an address, and of its part before the @. */
export const MAX_EMAIL = 254;
const MAX_LOCAL = 64;

/** 1 to 64 characters that fit into URLs and listings. */
const USERNAME = /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._@+-]{0,63}$/u;

/**
 * Validates a username. Returns it in NFC with single spaces.
 * @throws LadingError `validation_failed`
 */
export function checkUsername(username: string): string {
  const name = composedName(username);
  if (USERNAME.test(name)) return name;
  throw new LadingError(
    'validation_failed',
    'The username must be 1 to 64 letters and digits, with spaces and . _ @ + - between them.',
  );
}

/** Invisible and unassigned characters: controls, direction marks, lone surrogates. */
const INVISIBLE = /[\p{Cc}\p{Cs}\p{Co}\p{Cn}\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;
/** Dot-atoms (RFC 5322 §3.2.3) with letters of every script (RFC 6531). Quoted forms are not supported. */
const LOCAL = /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u;
const LABEL = /^(?!-)[\p{L}\p{M}\p{N}-]{1,63}(?<!-)$/u;

/**
 * Validates an e-mail address. Returns it in the form that is compared and stored.
 * @throws LadingError `validation_failed`
 */
export function checkEmail(email: string): string {
  const address = normalizeEmail(email);
  const at = address.lastIndexOf('@');
  const local = address.slice(0, Math.max(at, 0));
  const labels = address.slice(at + 1).split('.');
  const fits = address.length <= MAX_EMAIL && local.length <= MAX_LOCAL;
  if (fits && LOCAL.test(local) && labels.length >= 2 && labels.every((label) => LABEL.test(label))) return address;
  throw new LadingError('validation_failed', 'The e-mail address is not valid. It must look like name@example.org.');
}

/**
 * Validates a name or a surname. Returns it in NFC with single spaces.
 * @param field name of the field, for the error
 * @throws LadingError `validation_failed`
 */
export function checkPersonalName(name: string, field: 'name' | 'surname'): string {
  const text = composedName(name.trim());
  const { length } = [...text];
  if (length >= 1 && length <= MAX_NAME && !INVISIBLE.test(text)) return text;
  throw new LadingError(
    'validation_failed',
    `The ${field} must be 1 to ${MAX_NAME} characters without line breaks or other control characters.`,
  );
}
