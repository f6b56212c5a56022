/** The header fields of tus 1.0.0 (protocol of 2016-03-25): https://tus.io/protocols/resumable-upload */
import { LadingError } from '../../errors.ts';
import { decodeName } from '../names.ts';
import type { HashAlgorithm } from './digests.ts';

export const TUS_VERSION = '1.0.0';
export const TUS_EXTENSIONS = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'expiration',
  'checksum',
  'checksum-trailer',
  'termination',
  'concatenation',
  'concatenation-unfinished',
] as const;
/** By name in tus: the algorithm's name in this server, and the length of the value in bytes. */
const CHECKSUMS = {
  sha1: ['sha-1', 20],
  sha256: ['sha-256', 32],
  sha512: ['sha-512', 64],
  md5: ['md5', 16],
  crc32: ['crc32', 4],
} as const satisfies Record<string, [HashAlgorithm | 'crc32', number]>;
export const TUS_CHECKSUMS = Object.keys(CHECKSUMS);
export const TUS_TYPE = 'application/offset+octet-stream';

/** True for a request of tus, which always names the version of the protocol. */
export function isTus(headers: Record<string, string | string[] | undefined>): boolean {
  return headers['tus-resumable'] !== undefined;
}

/** Maximum number of pairs in `Upload-Metadata`. */
const MAX_PAIRS = 64;

/**
 * Parses a number of bytes, "a non-negative integer". Returns null if the field is absent.
 * @throws LadingError `invalid_request` if the value has other characters than digits or exceeds the largest possible file
 */
export function parseBytes(field: string, value: string | string[] | undefined): number | null {
  if (value === undefined) return null;
  const bytes = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new LadingError('invalid_request', `${field} must be a whole number of bytes.`);
}

/**
 * Returns the size in a creation request: `Upload-Length`, or null for `Upload-Defer-Length: 1`.
 * @throws LadingError `invalid_request` unless the request has exactly one of the two
 */
export function parseSize(headers: Record<string, string | string[] | undefined>): number | null {
  const size = parseBytes('Upload-Length', headers['upload-length']);
  const defer = headers['upload-defer-length'];
  // "The Upload-Defer-Length … value MUST be 1", and "the Client MUST set either Upload-Length or Upload-Defer-Length".
  if (defer !== undefined && defer !== '1')
    throw new LadingError('invalid_request', 'The only valid value of Upload-Defer-Length is 1.');
  if ((size === null) === (defer === undefined)) {
    throw new LadingError('invalid_request', 'Send either Upload-Length or Upload-Defer-Length: 1.');
  }
  return size;
}

/**
 * Parses `Upload-Metadata`: pairs of a key and an optional Base64 value.
 * @throws LadingError `invalid_request` if the field is malformed or repeats a key
 */
export function parseMetadata(value: string | undefined): Map<string, Uint8Array> {
  const pairs = new Map<string, Uint8Array>();
  if (value === undefined || value.trim() === '') return pairs;
  for (const pair of value.split(',')) {
    const [, key = '', encoded = ''] = /^ *([!-+\--~]+)(?: ([A-Za-z0-9+/]*={0,2}))? *$/.exec(pair) ?? [];
    const bytes = bytesOfBase64(encoded);
    if (key === '' || bytes === null) throw malformed('must be pairs of a key and Base64, separated by commas');
    // "All keys MUST be unique."
    if (pairs.has(key)) throw malformed('repeats a key');
    if (pairs.size === MAX_PAIRS) throw malformed(`has more than ${MAX_PAIRS} pairs`);
    pairs.set(key, bytes);
  }
  return pairs;
}

function malformed(how: string): LadingError {
  return new LadingError('invalid_request', `Upload-Metadata ${how}.`);
}

/** Returns the value of the first of these keys that has one; null if none has. */
function firstOf(pairs: ReadonlyMap<string, Uint8Array>, keys: readonly string[]): Uint8Array | null {
  for (const key of keys) {
    const bytes = pairs.get(key);
    if (bytes && bytes.length > 0) return bytes;
  }
  return null;
}

/** Returns the value of the first of these keys that has one, as text; null if none has. */
export function textOf(pairs: ReadonlyMap<string, Uint8Array>, ...keys: string[]): string | null {
  const bytes = firstOf(pairs, keys);
  return bytes && new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** Like `textOf`, for names. Throws `invalid_name` unless the value is UTF-8. */
export function nameOf(pairs: ReadonlyMap<string, Uint8Array>, ...keys: string[]): string | null {
  const bytes = firstOf(pairs, keys);
  return bytes && decodeName(bytes);
}

/** A checksum that the client declared. */
export interface TusChecksum {
  algorithm: HashAlgorithm | 'crc32';
  value: Uint8Array;
}

/**
 * Parses `Upload-Checksum`: the name of an algorithm and a Base64 value.
 * @throws LadingError `invalid_request` for an unknown algorithm or an invalid value
 */
export function parseChecksum(value: string): TusChecksum {
  const [, name = '', encoded = ''] = /^([\w-]+) ([A-Za-z0-9+/]+={0,2})$/.exec(value.trim()) ?? [];
  const known = Object.entries(CHECKSUMS).find(([word]) => word === name.toLowerCase());
  // "The Server MUST respond with … 400 Bad Request if the checksum algorithm is not supported by the server."
  if (!known)
    throw new LadingError(
      'invalid_request',
      `Upload-Checksum must be one of ${TUS_CHECKSUMS.join(', ')}, a space, and the checksum in Base64.`,
    );
  const [algorithm, length] = known[1];
  const bytes = bytesOfBase64(encoded);
  if (bytes?.length !== length)
    throw new LadingError('invalid_request', `The value of Upload-Checksum must be the Base64 of ${length} bytes.`);
  return { algorithm, value: bytes };
}

/**
 * The parsed value of `Upload-Concat`: a partial upload, or a final one that consists of partial uploads. `addresses` has the last path
 * segments of their URLs, and `value` the field as received.
 */
export type TusConcat = { kind: 'partial' } | { kind: 'final'; addresses: string[]; value: string };

/** Parses `Upload-Concat`. Throws `invalid_request` unless it is `partial`, or `final;` and at least one URL. */
export function parseConcat(value: string): TusConcat {
  if (value === 'partial') return { kind: 'partial' };
  const [, list = ''] = /^final;\s*(\S.*)$/.exec(value) ?? [];
  if (list === '') {
    throw new LadingError(
      'invalid_request',
      'Upload-Concat must be "partial", or "final;" and the URLs of the partial uploads.',
    );
  }
  const addresses = list.split(/ +/).map((url) => {
    const path = url.split(/[?#]/, 1)[0] ?? '';
    return path.slice(path.lastIndexOf('/') + 1);
  });
  return { kind: 'final', addresses, value };
}

/** Decodes Base64 with any padding. Returns null if the digits end within a byte, for which `atob` would throw. */
function bytesOfBase64(encoded: string): Uint8Array | null {
  const digits = encoded.replace(/=+$/, '');
  if (digits.length % 4 === 1) return null;
  return Uint8Array.from(atob(digits), (character) => character.charCodeAt(0));
}
