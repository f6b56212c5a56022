/** POST /auth/token: issues a token for an id and a secret (RFC 6749 §4.3). RFC 9700 §2.4 forbids this grant, so it can be turned off. */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import type { Clients } from '../../identity/subjects/clients.ts';
import { TokenReply, TokenRequest } from '../../protocol/schemas/identity/sign-in.ts';
import { ForeignQuery } from '../../protocol/schemas/parts.ts';
import type { Config } from '../../settings/config.ts';
import { signIn } from '../access/bearer.ts';
import { type Form, formBodies, multipartBodies, parseForm } from '../body/form.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../request/documented.ts';

/** What these routes need from the server. */
export interface TokenDeps {
  config: Pick<Config, 'idleSeconds' | 'passwordGrant'>;
  identity: Identity;
  clients: Clients;
  tokens: Tokens;
  throttle: Throttle;
}

/** Registers the route, unless the setting turns it off. */
export function tokenRoutes(app: FastifyInstance, deps: TokenDeps): void {
  if (deps.config.passwordGrant === 'off') return;
  app.register(async (scope) => {
    formBodies(scope, (body) => passwordForm(parseForm(body)));
    multipartBodies(scope, passwordForm);
    scope.post<{ Body: TokenRequest }>('/auth/token', {
      schema: {
        tags: ['Signing in'],
        summary: 'Issues a token for a client id and secret.',
        security: [],
        // Multipart forms are accepted, too, but a common client generator does not support two kinds of bodies.
        consumes: ['application/x-www-form-urlencoded'],
        querystring: ForeignQuery,
        body: TokenRequest,
        response: { 200: TokenReply },
        documented: {
          replies: { 200: ['Cache-Control'] },
          errors: [...SIGNED_IN, ...SMALL_BODY, 'rate_limited'],
          storesNothing: true,
        },
      },
      config: { audit: 'sign_in' },
      preParsing: smallBody(deps.config.idleSeconds),
      handler: async (request, reply) => {
        // RFC 6749 §5.1 requires these fields on every reply with a token.
        reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' });
        const { username, password } = request.body;
        return deps.tokens.issue(await signIn(deps, request, username, password));
      },
    });
  });
}

function passwordForm(form: Form): Form {
  // RFC 6749 §4.3.2 requires grant_type, but older devices omit it.
  if ((form.grant_type ?? 'password') !== 'password') {
    throw new LadingError('invalid_request', 'The grant_type must be password.');
  }
  return form;
}
