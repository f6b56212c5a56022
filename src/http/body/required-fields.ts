/** Fields without which a request is malformed to programs of older servers: 400, where one that is there but not valid is 422. */
import type { preValidationHookHandler } from 'fastify';
import { LadingError } from '../../errors.ts';

/** @throws LadingError `invalid_request` for a body without one of the fields; what is wrong in one that is there is 422 */
export function needsFields({
  required,
  properties,
}: {
  readonly required: readonly string[];
  readonly properties: object;
}): preValidationHookHandler {
  return ({ body }, _reply, next) => {
    const given = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
    // An unknown field is named first, for it may be the missing one in other letters.
    if (Object.keys(given).some((name) => !Object.hasOwn(properties, name))) return next();
    const missing = required.filter((name) => given[name] === undefined || given[name] === null || given[name] === '');
    if (missing.length === 0) return next();
    const them = missing.length === 1 ? 'it' : 'them';
    next(new LadingError('invalid_request', `Send ${missing.join(' and ')} too; the body does not have ${them}.`));
  };
}
