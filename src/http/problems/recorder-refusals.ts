/**
 * Writes errors for recorders that were made for an older server. They read `message` and, after a failed authorization, `error` and
 * `description`. `error` is token_expired, invalid_token, missing_token, insufficient_scope or forbidden.
 */
import type { LadingError } from '../../errors.ts';
import { ExpiredToken } from '../../identity/access-tokens.ts';
import { amended, type ProblemReply, problemReply } from './problems.ts';

/** The members that recorders read. */
export interface RecorderWords {
  message: string;
  error?: string;
  description?: string;
}

/** The members that are added to the problem document. `credentials`: the request had some. */
export function recorderWords(error: LadingError, credentials: boolean): RecorderWords {
  const { code, message } = error;
  if (code === 'insufficient_scope' || code === 'forbidden') return { message, error: code, description: message };
  if (code !== 'unauthorized') return { message };
  if (isExpired(error))
    return { message: 'The token has expired.', error: 'token_expired', description: 'Refresh it, or sign in again.' };
  return { message, error: credentials ? 'invalid_token' : 'missing_token', description: message };
}

/** Writes the problem document with the members that recorders read; the value of `config.refusal`. */
export function recorderRefusal(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const members = { ...recorderWords(error, credentials) };
  return amended(problemReply(error, requestId, credentials), { members });
}

function isExpired(error: LadingError): boolean {
  return error instanceof ExpiredToken || error.cause instanceof ExpiredToken;
}
