/**
 * Refusals on the routes that recorders of an older server use: they read `message`, and of a guard `error` and `description` besides.
 * `error` is one of token_expired, invalid_token, missing_token, insufficient_scope, forbidden.
 */
import type { LadingError } from '../../errors.ts';
import { ExpiredToken } from '../../identity/access-tokens.ts';
import { amended, type ProblemReply, problemReply } from './problems.ts';

export interface RecorderWords {
  message: string;
  error?: string;
  description?: string;
}

/** What is said of a refusal besides the problem document. `credentials`: the request brought some. */
export function recorderWords(error: LadingError, credentials: boolean): RecorderWords {
  const { code, message } = error;
  if (code === 'insufficient_scope' || code === 'forbidden') return { message, error: code, description: message };
  if (code !== 'unauthorized') return { message };
  if (isExpired(error))
    return { message: 'The token has expired.', error: 'token_expired', description: 'Refresh it, or sign in again.' };
  return { message, error: credentials ? 'invalid_token' : 'missing_token', description: message };
}

/** The problem document with what recorders read. For `config.refusal` of a route. */
export function recorderRefusal(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const members = { ...recorderWords(error, credentials) };
  return amended(problemReply(error, requestId, credentials), { members });
}

function isExpired(error: LadingError): boolean {
  return error instanceof ExpiredToken || error.cause instanceof ExpiredToken;
}
