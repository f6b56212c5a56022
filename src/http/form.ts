/** Forms of `application/x-www-form-urlencoded`, with the rules of RFC 6749 §3.1: no parameter twice, an empty one counts as absent. */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../errors.ts';

export type Form = Record<string, string>;

/** Longer than any id, secret, token and their encoding. */
const FORM_BYTES = 16 * 1024;

/** @throws LadingError `invalid_request` */
export function parseForm(body: string | Buffer): Form {
  const form: Form = Object.create(null) as Form;
  for (const [name, value] of new URLSearchParams(body.toString())) {
    if (name in form)
      throw new LadingError('invalid_request', `The parameter ${JSON.stringify(name.slice(0, 40))} is there twice.`);
    if (value !== '') form[name] = value;
  }
  return form;
}

/** For scopes whose routes take a form: it is read and nothing else. */
export function formBodies(app: FastifyInstance, parse: (body: Buffer) => Form = parseForm): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<Buffer>(
    'application/x-www-form-urlencoded',
    { parseAs: 'buffer', bodyLimit: FORM_BYTES },
    (_request, body, done) => {
      try {
        done(null, parse(body));
      } catch (error) {
        done(error instanceof Error ? error : null);
      }
    },
  );
}
