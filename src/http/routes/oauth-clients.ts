/** How a client says who it is at the OAuth routes (RFC 6749 §2.3.1): HTTP Basic, or two fields of the form. */
import type { FastifyRequest } from 'fastify';
import type { Principal } from '../../contracts.ts';
import { LadingError } from '../../errors.ts';
import { basicCredentials, signIn } from '../auth.ts';
import type { RouteDeps } from '../deps.ts';
import { OAuthError } from './oauth-errors.ts';

export interface ClientFields {
  client_id?: string;
  client_secret?: string;
}

interface Credentials {
  id: string;
  secret: string;
}

/** @throws LadingError `unauthorized`, the same for an unknown client and a wrong secret; `invalid_request`, `rate_limited` */
export async function authenticateClient(
  deps: RouteDeps,
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
      throw new LadingError('unauthorized', 'Send the client id and secret: by HTTP Basic, or in the form.');
    }
    return { id, secret };
  }
  if (secret !== undefined) {
    throw new OAuthError('invalid_request', 'Send the secret by HTTP Basic or in the form, not by both.');
  }
  const basic = basicCredentials(authorization);
  const sent = basic && { id: decoded(basic.id), secret: decoded(basic.secret) };
  if (!sent || sent.id === null || sent.secret === null) {
    throw new LadingError('unauthorized', 'Authorization is not Basic with the client id and secret, form-urlencoded.');
  }
  if (id !== undefined && id !== sent.id) {
    throw new OAuthError('invalid_request', 'The client_id in the form is not the one in Authorization.');
  }
  return { id: sent.id, secret: sent.secret };
}

/** RFC 6749 §2.3.1: both are form-urlencoded before they are joined; null when they are not. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}
