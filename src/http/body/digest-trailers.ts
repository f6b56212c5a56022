/** Digests behind the content: either field of RFC 9530 may be a trailer, for a sender that hashes while it sends. */
import type { FastifyRequest } from 'fastify';
import type { TrailingDigests } from '../../engine/body/trailing-digests.ts';
import { LadingError } from '../../errors.ts';
import { type Digest, parseDigestField } from '../../protocol/http/digests.ts';

/**
 * Reads one of them when the content has ended; undefined when `Trailer` does not announce it, and then nothing is read. What it returns
 * throws LadingError `invalid_request` for what is malformed, or announced and not there.
 */
export function digestTrailer(
  { headers, raw }: FastifyRequest,
  field: 'Content-Digest' | 'Repr-Digest',
): (() => Digest | null) | undefined {
  const name = field.toLowerCase();
  const announced = headers.trailer?.split(',').some((word) => word.trim().toLowerCase() === name);
  if (!announced) return undefined;
  return () => {
    const value = raw.trailers[name];
    if (value !== undefined) return parseDigestField(value, field);
    throw new LadingError('invalid_request', `Trailer announced ${field}, and it did not come.`, { header: field });
  };
}

export function digestTrailers(request: FastifyRequest): TrailingDigests | undefined {
  if (request.headers.trailer === undefined) return undefined;
  return {
    contentDigest: digestTrailer(request, 'Content-Digest'),
    reprDigest: digestTrailer(request, 'Repr-Digest'),
  };
}
