/** Client authentication at the OAuth routes (RFC 6749 §2.3.1): HTTP Basic, or two fields of the form. */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import type { Clients } from '../../identity/subjects/clients.ts';
import type { GrantRequest } from '../../protocol/schemas/identity/oauth.ts';
import type { Principal } from '../../records/principal.ts';
import { basicCredentials, signIn } from '../access/bearer.ts';
import { OAuthError } from '../problems/oauth-errors.ts';

/** What these routes need from the server. */
export interface OAuthClientDeps {
  identity: Identity;
  clients: Clients;
  throttle: Throttle;
}

/** The form fields that authenticate a client. */
export interface ClientFields {
  client_id?: string;
  client_secret?: string;
}

interface Credentials {
  id: string;
  secret: string;
}

/**
 * Authenticates a client by HTTP Basic or by the fields of the form.
 * @throws LadingError `unauthorized`, the same for an unknown client and a wrong secret; `invalid_request`, `rate_limited`
 */
export async function authenticateClient(
  deps: OAuthClientDeps,
  request: FastifyRequest,
  fields: ClientFields,
): Promise<Principal> {
  const { id, secret } = credentialsOf(request.headers.authorization, fields);
  return signIn(deps, request, id, secret);
}

function credentialsOf(authorization: string | undefined, fields: ClientFields): Credentials {
  const { client_id: id, client_secret: secret } = fields;
  if (authorization === undefined) {
    if (id === undefined || secret === undefined) {
      if (id !== undefined) throw new OAuthError('invalid_request', 'client_secret is missing.');
      throw new LadingError('unauthorized', 'Send the client id and secret with HTTP Basic or in the form.');
    }
    return { id, secret };
  }
  if (secret !== undefined) {
    throw new OAuthError('invalid_request', 'Send the secret with HTTP Basic or in the form, not both.');
  }
  const basic = basicCredentials(authorization);
  const sent = basic && { id: decoded(basic.id), secret: decoded(basic.secret) };
  if (!sent || sent.id === null || sent.secret === null) {
    throw new LadingError('unauthorized', 'Authorization must be Basic with the form-urlencoded client id and secret.');
  }
  if (id !== undefined && id !== sent.id) {
    throw new OAuthError('invalid_request', 'The client_id in the form differs from the id in Authorization.');
  }
  return { id: sent.id, secret: sent.secret };
}

/** Decodes an id or a secret, which are form-urlencoded before they are joined (RFC 6749 §2.3.1); null if it is not encoded so. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

/**
 * The client of a refresh token, for programs that send nothing else (`LADING_COMPAT=audio-ftp`). Null if the request has other
 * credentials, which the client must then prove.
 * @throws OAuthError `invalid_grant`
 */
export function clientOfRefreshToken(
  { identity }: OAuthClientDeps,
  request: FastifyRequest<{ Body: GrantRequest }>,
): Principal | null {
  const { client_id: id, client_secret: secret, refresh_token: token } = request.body;
  if (request.headers.authorization !== undefined || secret !== undefined || token === undefined) return null;
  // A client that is not authenticated must not be able to end a session.
  const family = identity.sessions.isAccepted(token) ? identity.sessions.familyOf(token) : null;
  const principal = family?.kind === 'device' ? identity.subject('device', family.subject) : null;
  if (!principal || (id !== undefined && id !== principal.id)) throw badRefreshToken();
  request.audited = { principal };
  return principal;
}

/** The error for every invalid refresh token. */
export function badRefreshToken(): OAuthError {
  return new OAuthError('invalid_grant', 'The refresh token is invalid, expired, revoked, or already used.');
}
