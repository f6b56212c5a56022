/** The precondition fields of a request that changes a file (RFC 9110 §13.1), for the engine to evaluate. */
import type { FastifyRequest } from 'fastify';
import type { Precondition } from '../../engine/uploads/preconditions.ts';
import { checkPreconditions } from '../../protocol/http/conditionals.ts';

/** The fields that apply to such requests, for the OpenAPI document. `If-Modified-Since` is ignored there (§13.1.3). */
export const PRECONDITIONS = ['If-Match', 'If-None-Match', 'If-Unmodified-Since'] as const;

/** The precondition of a request; undefined if it has none. */
export function preconditionOf({ method, headers }: FastifyRequest): Precondition | undefined {
  if (
    headers['if-match'] === undefined &&
    headers['if-none-match'] === undefined &&
    headers['if-unmodified-since'] === undefined
  )
    return undefined;
  return (current) => checkPreconditions(method, headers, current) !== 'failed';
}
