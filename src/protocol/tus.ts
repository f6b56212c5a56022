/** The header fields of tus 1.0.0 (protocol of 2016-03-25): https://tus.io/protocols/resumable-upload */
import { LadingError } from '../errors.ts';

export const TUS_VERSION = '1.0.0';
export const TUS_EXTENSIONS = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'expiration',
  'termination',
];
export const TUS_TYPE = 'application/offset+octet-stream';

/** Pairs that one may give. */
const MOST_PAIRS = 64;

/**
 * A number of bytes, or null when the field is absent: "a non-negative integer".
 * @throws LadingError `invalid_request` for anything else than digits, and what no file can have
 */
export function parseBytes(field: string, value: string | string[] | undefined): number | null {
  if (value === undefined) return null;
  const bytes = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new LadingError('invalid_request', `${field} must be a whole number of bytes.`);
}

/**
 * What a creation says of the size: `Upload-Length`, or null for `Upload-Defer-Length: 1`.
 * @throws LadingError `invalid_request` unless it is exactly one of the two
 */
export function parseSize(headers: Record<string, string | string[] | undefined>): number | null {
  const size = parseBytes('Upload-Length', headers['upload-length']);
  const defer = headers['upload-defer-length'];
  // "The Upload-Defer-Length … value MUST be 1", and "the Client MUST set either Upload-Length or Upload-Defer-Length".
  if (defer !== undefined && defer !== '1')
    throw new LadingError('invalid_request', 'Upload-Defer-Length can be 1 only.');
  if ((size === null) === (defer === undefined)) {
    throw new LadingError('invalid_request', 'Send either Upload-Length or Upload-Defer-Length: 1.');
  }
  return size;
}

/**
 * `Upload-Metadata`: pairs of a key and a Base64 value, which may be missing.
 * @throws LadingError `invalid_request` when it is malformed, or a key comes twice
 */
export function parseMetadata(value: string | undefined): Map<string, Uint8Array> {
  const pairs = new Map<string, Uint8Array>();
  if (value === undefined || value.trim() === '') return pairs;
  for (const pair of value.split(',')) {
    const [, key = '', encoded = ''] = /^ *([!-+\--~]+)(?: ([A-Za-z0-9+/]*={0,2}))? *$/.exec(pair) ?? [];
    if (key === '' || encoded.replace(/=+$/, '').length % 4 === 1) throw malformed('is not pairs of a key and Base64');
    // "All keys MUST be unique."
    if (pairs.has(key)) throw malformed('names a key twice');
    if (pairs.size === MOST_PAIRS) throw malformed(`has more than ${MOST_PAIRS} pairs`);
    pairs.set(
      key,
      Uint8Array.from(atob(encoded.replace(/=+$/, '')), (character) => character.charCodeAt(0)),
    );
  }
  return pairs;
}

function malformed(how: string): LadingError {
  return new LadingError('invalid_request', `Upload-Metadata ${how}.`);
}

/** The first of these keys that has a value, as text; null when none has. */
export function textOf(pairs: ReadonlyMap<string, Uint8Array>, ...keys: string[]): string | null {
  for (const key of keys) {
    const bytes = pairs.get(key);
    if (bytes && bytes.length > 0) return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  }
  return null;
}
