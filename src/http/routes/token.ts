/** POST /auth/token: id and secret for a bearer token (the form of RFC 6749 §4.3). */
import type { FastifyInstance } from 'fastify';
import { TokenReply, TokenRequest } from '../../protocol/schemas.ts';
import { signIn } from '../auth.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN, SMALL_BODY } from '../documented.ts';
import { parseForm } from '../form.ts';
import { smallBody } from '../refuse.ts';

/** Longer than any id, secret and their encoding. */
const FORM_BYTES = 16 * 1024;

export function tokenRoutes(app: FastifyInstance, deps: RouteDeps): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'buffer', bodyLimit: FORM_BYTES },
      (_request, body, done) => {
        try {
          done(null, parseForm(body));
        } catch (error) {
          done(error instanceof Error ? error : null);
        }
      },
    );
    scope.post<{ Body: TokenRequest }>('/auth/token', {
      schema: {
        tags: ['Signing in'],
        summary: 'A token for a client id and secret.',
        security: [],
        consumes: ['application/x-www-form-urlencoded'],
        body: TokenRequest,
        response: { 200: TokenReply },
        documented: { replies: { 200: ['Cache-Control'] }, errors: [...SIGNED_IN, ...SMALL_BODY, 'rate_limited'] },
      },
      preParsing: smallBody(deps.config.idleSeconds),
      handler: async (request, reply) => {
        // RFC 6749 §5.1: on every answer with a token.
        reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' });
        const { username, password } = request.body;
        return deps.tokens.issue(await signIn(deps, request, username, password));
      },
    });
  });
}
