/** Writes errors of the OAuth routes in the form of RFC 6749 §5.2. */
import { CATALOGUE, type ErrorCode, LadingError } from '../../errors.ts';
import type { OAuthErrorCode, OAuthRefusal } from '../../protocol/schemas/identity/oauth.ts';
import type { ProblemReply } from './problems.ts';

/** An error that only the OAuth routes use. */
export class OAuthError extends LadingError {
  readonly error: OAuthErrorCode;

  constructor(error: 'invalid_request' | 'invalid_grant' | 'unsupported_grant_type' | 'invalid_scope', detail: string) {
    super('invalid_request', detail);
    this.error = error;
  }
}

/** Fields of every answer about tokens (RFC 6749 §5.1). */
export const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' } as const;

const CODES: { readonly [Code in ErrorCode]?: OAuthErrorCode } = {
  unauthorized: 'invalid_client',
  rate_limited: 'temporarily_unavailable',
  overloaded: 'temporarily_unavailable',
  shutting_down: 'temporarily_unavailable',
};

function codeOf(error: LadingError): OAuthErrorCode {
  if (error instanceof OAuthError) return error.error;
  return CODES[error.code] ?? (error.status >= 500 ? 'server_error' : 'invalid_request');
}

/** Writes an error for the OAuth routes; the value of `config.refusal`. */
export function oauthRefusal(error: LadingError): ProblemReply {
  // The specification answers a missing parameter with 400.
  const status = error.code === 'validation_failed' ? 400 : CATALOGUE[error.code].status;
  const detail =
    error.code === 'unsupported_media_type'
      ? 'Send the parameters as a form (application/x-www-form-urlencoded).'
      : error.message;
  const refusal: OAuthRefusal = { error: codeOf(error), error_description: describable(detail), message: detail };
  const body = Buffer.from(JSON.stringify(refusal));
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(body.length),
    ...NO_STORE,
  };
  const { retry_after: wait } = error.members;
  if (wait !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(wait)));
  // Required for clients that used the header (RFC 6749 §5.2), and for every 401 (RFC 9110 §15.5.2).
  if (status === 401) headers['www-authenticate'] = 'Basic realm="lading"';
  return { status, headers, body };
}

/** The characters that RFC 6749 §5.2 allows: printable ASCII without the double quote and the backslash. */
function describable(detail: string): string {
  return detail.replaceAll('"', "'").replaceAll(/[^\x20-\x5b\x5d-\x7e]/g, '?');
}
