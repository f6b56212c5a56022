/**
 * Sends large buffered answers, such as lists, in slices, and limits their unread bytes: in total, and for each client so that one cannot use
 * up the total.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { ownerKey } from '../../identity/rights/policy.ts';
import { networkOf } from '../../protocol/ip.ts';
import { SLICE_BYTES, sliced } from './slices.ts';

/** Limits of unread bytes. */
const MAX_TOTAL = 64 * 1024 ** 2;
const MAX_EACH = 16 * 1024 ** 2;

/** Applies the limits to all replies. Call it before routes are registered. */
export function limitLargeAnswers(app: FastifyInstance): void {
  let held = 0;
  const each = new Map<string, number>();
  app.addHook('onSend', (request, reply, payload, next) => {
    if (typeof payload !== 'string' && !(payload instanceof Uint8Array)) return next();
    if (payload.length <= SLICE_BYTES || request.method === 'HEAD') return next();
    const bytes = Buffer.from(payload as string);
    const key = keyOf(request);
    const theirs = each.get(key) ?? 0;
    // The first unread answer of a client may have any size.
    if (theirs > 0 && (theirs + bytes.length > MAX_EACH || held + bytes.length > MAX_TOTAL)) {
      return next(
        new LadingError('overloaded', 'Your connections have too many unread answers. Read them first.', {
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
