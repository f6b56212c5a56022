/** For scopes whose routes take a JSON document. */
import type { FastifyInstance } from 'fastify';

/** JSON is read and nothing else; a `__proto__` in it is an error. */
export function jsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'));
}
