/** Parsers for small forms, by the rules of RFC 6749 §3.1: a repeated parameter is an error, and an empty one counts as absent. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';

export type Form = Record<string, string>;

/** Limit of a form: more than an id, a secret and a token need with their encoding. */
const FORM_BYTES = 16 * 1024;

/**
 * Parses a urlencoded form.
 * @throws LadingError `invalid_request` for a repeated parameter
 */
export function parseForm(body: string | Buffer): Form {
  return formOf(new URLSearchParams(body.toString()));
}

function formOf(parameters: Iterable<[string, string]>): Form {
  const form: Form = Object.create(null) as Form;
  for (const [name, value] of parameters) {
    if (name in form)
      throw new LadingError('invalid_request', `The parameter ${JSON.stringify(name.slice(0, 40))} occurs twice.`);
    if (value !== '') form[name] = value;
  }
  return form;
}

/** Accepts only urlencoded forms in a scope. */
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

/** Accepts fields as a urlencoded form, multipart/form-data or a JSON object in a scope. */
export function anyForms(app: FastifyInstance): void {
  formBodies(app);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
  multipartBodies(app);
}

/** Accepts multipart/form-data without files in a scope, in addition to other types. */
export function multipartBodies(app: FastifyInstance, check: (form: Form) => Form = (form) => form): void {
  app.addContentTypeParser<Buffer>(
    'multipart/form-data',
    { parseAs: 'buffer', bodyLimit: FORM_BYTES },
    async (request: FastifyRequest, body: Buffer) =>
      check(formOf(await partsOf(body, request.headers['content-type'] ?? ''))),
  );
}

/** The media types that `anyForms` accepts. */
export const ANY_FORM = ['application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'];

/** @throws LadingError `invalid_request` */
async function partsOf(body: Buffer, type: string): Promise<[string, string][]> {
  const form = await new Response(body, { headers: { 'content-type': type } }).formData().catch(() => {
    throw new LadingError('invalid_request', 'The multipart/form-data is malformed or cut short.');
  });
  return [...form].map(([name, value]): [string, string] => {
    if (typeof value === 'string') return [name, value];
    throw new LadingError('invalid_request', 'The form contains a file. Send only fields.');
  });
}
