/** For scopes whose routes take a JSON document. */
import type { FastifyInstance } from 'fastify';

/**
 * JSON is read and nothing else; a `__proto__` in it is an error. Where the body may be absent, an empty one counts as absent: programs
 * name the type of a body that they do not send, too.
 */
export function jsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '' && request.routeOptions.schema?.documented?.optionalBody) done(null);
    else parse(request, body, done);
  });
}
