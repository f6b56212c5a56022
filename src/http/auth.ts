/** Who asks. Registered around every route but the open ones; runs before anything of a body is read. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Principal } from '../contracts.ts';
import { LadingError } from '../errors.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { Throttle } from '../identity/throttle.ts';
import type { Tokens } from '../identity/tokens.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set by `auth` on every route that is not open. */
    principal: Principal;
  }
}

export function missingToken(): LadingError {
  return new LadingError('unauthorized', 'Send Authorization: Bearer <token>; a token comes from POST /auth/token.');
}

/** The token of `Authorization: Bearer <token>` (RFC 6750 §2.1), or null. Tokens in the query are never looked at. */
export function bearerToken(authorization: string | undefined): string | null {
  if (authorization === undefined) return null;
  const space = authorization.indexOf(' ');
  if (space !== 6 || authorization.slice(0, 6).toLowerCase() !== 'bearer') return null;
  return authorization.slice(7).trim();
}

export interface BearerOptions {
  tokens: Tokens;
}

/** Every route of the scope it is registered in wants a good token. */
export const bearerAuth = fp<BearerOptions>(
  (scope: FastifyInstance, { tokens }, done) => {
    scope.decorateRequest('principal');
    scope.addHook('onRequest', (request, _reply, next) => {
      const token = bearerToken(request.headers.authorization);
      if (token === null) return next(missingToken());
      try {
        request.principal = tokens.verify(token);
      } catch (error) {
        return next(error instanceof Error ? error : missingToken());
      }
      next();
    });
    done();
  },
  { name: 'lading-bearer-auth', fastify: '5.x' },
);

export interface SignInDeps {
  credentials: Credentials;
  throttle: Throttle;
}

/**
 * A client by its id and secret, slowed down after failures.
 * @throws LadingError `unauthorized`, the same for an unknown id and a wrong secret; `rate_limited`
 */
export async function signIn(
  deps: SignInDeps,
  request: FastifyRequest,
  clientId: string,
  secret: string,
): Promise<Principal> {
  const { credentials, throttle } = deps;
  throttle.check(clientId, request.ip);
  const principal = await credentials.authenticate(clientId, secret);
  if (!principal) {
    throttle.failed(clientId, request.ip);
    throw new LadingError('unauthorized', 'The client id or the secret is wrong.');
  }
  throttle.succeeded(clientId);
  return principal;
}

/** Id and secret of `Authorization: Basic` (RFC 7617), for programs that cannot ask for a token; null when it is something else. */
export function basicCredentials(authorization: string | undefined): { id: string; secret: string } | null {
  const match = /^basic +([A-Za-z0-9+/_=-]+) *$/i.exec(authorization ?? '');
  const text = Buffer.from(match?.[1] ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? null : { id: text.slice(0, colon), secret: text.slice(colon + 1) };
}
