/**
 * Answers that are made whole, such as lists, go out in small pieces, and what clients have not read of them is bounded: of everybody
 * together, and of each so that one alone cannot use it up.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { ownerKey } from '../../identity/rights/policy.ts';
import { networkOf } from '../../protocol/ip.ts';
import { SLICE_BYTES, sliced } from './slices.ts';

/** Bytes that are not read yet. */
const MOST = 64 * 1024 ** 2;
const MAX_EACH = 16 * 1024 ** 2;

export function limitLargeAnswers(app: FastifyInstance): void {
  let held = 0;
  const each = new Map<string, number>();
  app.addHook('onSend', (request, reply, payload, next) => {
    if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) return next();
    if (payload.length <= SLICE_BYTES || request.method === 'HEAD') return next();
    const bytes = Buffer.from(payload as string);
    const key = keyOf(request);
    const theirs = each.get(key) ?? 0;
    // Somebody who holds nothing yet gets an answer of any size.
    if (theirs > 0 && (theirs + bytes.length > MAX_EACH || held + bytes.length > MOST)) {
      return next(
        new LadingError('overloaded', 'Too many answers to you have not been read; read them first.', {
          retry_after: 5,
        }),
      );
    }
    held += bytes.length;
    each.set(key, theirs + bytes.length);
    reply.raw.once('close', () => {
      held -= bytes.length;
      const left = (each.get(key) ?? 0) - bytes.length;
      if (left <= 0) each.delete(key);
      else each.set(key, left);
    });
    reply.header('content-length', bytes.length);
    next(null, sliced(bytes));
  });
}

function keyOf({ principal, ip }: FastifyRequest): string {
  return principal ? ownerKey(principal.tenant, principal.id) : networkOf(ip);
}
