/** Reports missing fields with 400, as older servers did. Fields that are present but not valid get 422. */
import type { preValidationHookHandler } from 'fastify';
import { LadingError } from '../../errors.ts';

/** Returns a hook that refuses a body without one of the fields with `invalid_request`. */
export function needsFields({
  required,
  properties,
}: {
  readonly required: readonly string[];
  readonly properties: object;
}): preValidationHookHandler {
  return ({ body }, _reply, next) => {
    const given = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
    // Let the validator report unknown fields first: one may be a misspelling of the missing field.
    if (Object.keys(given).some((name) => !Object.hasOwn(properties, name))) return next();
    const missing = required.filter((name) => given[name] === undefined || given[name] === null || given[name] === '');
    if (missing.length === 0) return next();
    next(new LadingError('invalid_request', `The body lacks ${missing.join(' and ')}.`));
  };
}
