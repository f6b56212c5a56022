/** For scopes whose routes read the body as a stream, or not at all. */
import type { FastifyInstance } from 'fastify';

/** Parses no body of any type. Routes inside the scope may add parsers of their own. */
export function unparsedBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
}
