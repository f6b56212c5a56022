/** Digests in trailers: a client that hashes while it sends may send the fields of RFC 9530 after the content. */
import type { FastifyRequest } from 'fastify';
import type { TrailingDigests } from '../../engine/body/trailing-digests.ts';
import { LadingError } from '../../errors.ts';
import { type Digest, parseDigestField } from '../../protocol/http/digests.ts';

/**
 * Returns a function that reads one of the fields; undefined if `Trailer` does not announce it. Call the function at the end of the
 * content. It throws LadingError `invalid_request` if the field is malformed or missing.
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
    throw new LadingError('invalid_request', `Trailer announces ${field}, but the request has no such trailer.`, {
      header: field,
    });
  };
}

/** Both fields, for the engine; undefined if the request announces no trailers. */
export function digestTrailers(request: FastifyRequest): TrailingDigests | undefined {
  if (request.headers.trailer === undefined) return undefined;
  return {
    contentDigest: digestTrailer(request, 'Content-Digest'),
    reprDigest: digestTrailer(request, 'Repr-Digest'),
  };
}
