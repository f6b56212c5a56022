/** The parser for routes that take a JSON document. */
import type { FastifyInstance } from 'fastify';

/**
 * Accepts only JSON in a scope; a key `__proto__` is an error. If the body is optional, an empty one counts as absent, because some programs
 * send a Content-Type without a body.
 */
export function jsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '' && request.routeOptions.schema?.documented?.optionalBody) done(null);
    else parse(request, body, done);
  });
}
