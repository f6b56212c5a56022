/** Content-Digest, Repr-Digest and their Want- fields: RFC 9530, over structured fields (RFC 9651). */
import { type Dictionary, parseDictionary, serializeDictionary } from 'structured-headers';
import { LadingError, type ProblemMembers } from '../../errors.ts';

/** The active algorithms of RFC 9530. The deprecated ones are not secure and are ignored. */
export type DigestAlgorithm = 'sha-256' | 'sha-512';

/** The hash algorithms for stored bytes, including those that other protocols still use. */
export type HashAlgorithm = DigestAlgorithm | 'sha-1' | 'md5';

/** A digest of a known algorithm. */
export interface Digest {
  algorithm: DigestAlgorithm;
  /** 32 bytes for sha-256, 64 for sha-512. */
  value: Uint8Array;
}

/** Known algorithms, strongest first, with the length of their digests in bytes. */
const STRONGEST_FIRST = [
  ['sha-512', 64],
  ['sha-256', 32],
] as const satisfies [DigestAlgorithm, number][];

/**
 * Returns the strongest known digest of a field. Unknown algorithms are ignored as long as one is known. Returns null when the field is
 * empty, which means the same as no field. Throws `invalid_request` when it is malformed or names no known algorithm.
 */
export function parseDigestField(value: string, field: 'Content-Digest' | 'Repr-Digest'): Digest | null {
  const dictionary = readDictionary(value);
  if (dictionary === null) throw refuse(field, 'is malformed');
  if (dictionary.size === 0) return null;
  let strongest: Digest | null = null;
  for (const [algorithm, length] of STRONGEST_FIRST) {
    const member = dictionary.get(algorithm);
    if (member === undefined) continue;
    const bytes: unknown = member[0];
    if (!(bytes instanceof ArrayBuffer) || bytes.byteLength !== length) {
      throw refuse(field, `gives no ${length}-byte value for ${algorithm}`);
    }
    strongest ??= { algorithm, value: new Uint8Array(bytes) };
  }
  if (strongest !== null) return strongest;
  const unknown = [...dictionary.keys()].map((algorithm) => ({ algorithm, header: field }));
  throw refuse(field, 'names no supported algorithm', { unsupported_algorithms: unknown });
}

/** Formats the value of a Content-Digest or Repr-Digest field: `sha-256=:<base64>:`. */
export function formatDigestField(digest: Digest): string {
  // Copy: the bytes may be a view into a larger or shared buffer.
  return serializeDictionary(new Map([[digest.algorithm, [new Uint8Array(digest.value).buffer, new Map()]]]));
}

/**
 * Returns the algorithm that a Want-Content-Digest or Want-Repr-Digest field prefers; for equal weights sha-256, which is cheaper.
 * Returns null if no known algorithm is acceptable or the field is malformed, because a preference is never an error.
 */
export function preferredDigest(want: string): DigestAlgorithm | null {
  const dictionary = readDictionary(want);
  let best: DigestAlgorithm | null = null;
  let weightOfBest = 1;
  for (const [algorithm] of STRONGEST_FIRST) {
    const weight: unknown = dictionary?.get(algorithm)?.[0];
    // RFC 9530 §4: an integer from 0 to 10, 0 means "not acceptable".
    if (!Number.isInteger(weight) || typeof weight !== 'number' || weight > 10) continue;
    if (weight >= weightOfBest) {
      best = algorithm;
      weightOfBest = weight;
    }
  }
  return best;
}

function readDictionary(value: string): Dictionary | null {
  try {
    return parseDictionary(value);
  } catch {
    return null;
  }
}

function refuse(field: string, why: string, members: ProblemMembers = {}): LadingError {
  return new LadingError(
    'invalid_request',
    `${field} ${why}. Send ${field}: sha-256=:<base64 of the digest>: or sha-512=:…: (RFC 9530).`,
    { header: field, ...members },
  );
}

/** Returns the members of a `digest_mismatch` error. */
export function mismatchMembers(header: 'Content-Digest' | 'Repr-Digest', digest: Digest): ProblemMembers {
  return {
    header,
    algorithm: digest.algorithm,
    provided_digest: formatDigestField(digest).split('=:')[1]?.slice(0, -1) ?? '',
  };
}
