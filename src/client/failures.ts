/** What can go wrong on the client's side of the wire, and what is worth trying again. */
import { CATALOGUE, type ErrorCode, LadingError, type ProblemMembers } from '../errors.ts';
import type { TransportResponse } from './transport.ts';
import { readText } from './transport.ts';

/** The server was not reached, or the connection broke before the answer was complete. Worth trying again. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
}

/** Bytes are not what they should be although every request succeeded. */
export class VerificationError extends Error {
  override readonly name = 'VerificationError';
}

/** The local file became another one while it was being sent. */
export class SourceChangedError extends Error {
  override readonly name = 'SourceChangedError';
}

/** True for failures that time may heal: the network, an overloaded or restarting server, a full disk, a rate limit. */
export function isTransient(error: unknown): boolean {
  if (error instanceof NetworkError) return true;
  if (!(error instanceof LadingError)) return false;
  // What the server does not do at all, it does not do later either (RFC 9110 §15.6.2).
  if (error.status === 501 || error.status === 505) return false;
  return error.status >= 500 || error.status === 408 || error.status === 429;
}

/** Milliseconds that the server asked to wait, 0 when it did not. */
export function retryAfterMs(error: unknown): number {
  if (!(error instanceof LadingError)) return 0;
  return Math.max(0, (error.members.retry_after ?? 0) * 1000);
}

/** Reads an error response (problem+json, or whatever an intermediary wrote) into a `LadingError`. */
export async function problemOf(response: TransportResponse): Promise<LadingError> {
  const text = response.header('content-type')?.includes('json') ? await readText(response, 1024 * 1024) : '';
  if (text === '') response.discard();
  const problem = parseObject(text);
  const members = membersOf(problem);
  // By the clock of the server, which is the one that counted.
  const date = Date.parse(response.header('date') ?? '');
  const wait = parseRetryAfter(response.header('retry-after'), Number.isNaN(date) ? Date.now() : date);
  if (wait !== null) members.retry_after = wait;
  const code = problem.code;
  // The second is what OAuth says it with (RFC 6749 §5.2).
  const said = [problem.detail, problem.error_description].find((text) => typeof text === 'string');
  const detail = said ?? `The server answered ${response.status}.`;
  return new LadingError(isCode(code) ? code : codeOfStatus(response.status), detail, members);
}

/** Seconds in a `Retry-After` field, which is a number of them or a date (RFC 9110 §10.2.3); null when it is neither. @param now when it was sent */
export function parseRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null;
  if (/^\s*\d+\s*$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000));
}

export function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(CATALOGUE, code);
}

/** The nearest code of ours for an answer without one: a proxy's, or that of a newer server. */
function codeOfStatus(status: number): ErrorCode {
  const known: Record<number, ErrorCode> = {
    401: 'unauthorized',
    403: 'forbidden',
    404: 'not_found',
    405: 'method_not_allowed',
    408: 'request_timeout',
    409: 'chunk_conflict',
    412: 'precondition_failed',
    413: 'chunk_too_large',
    415: 'unsupported_media_type',
    416: 'range_not_satisfiable',
    422: 'validation_failed',
    425: 'overloaded',
    429: 'rate_limited',
    431: 'headers_too_large',
    502: 'overloaded',
    503: 'overloaded',
    504: 'overloaded',
    507: 'insufficient_storage',
  };
  return known[status] ?? (status >= 500 ? 'internal' : 'invalid_request');
}

function membersOf(problem: Record<string, unknown>): ProblemMembers {
  const members: ProblemMembers = {};
  const { missing, missing_more: more, expected, actual, retry_after: wait, total_bytes: total } = problem;
  if (Array.isArray(missing)) members.missing = missing.filter(isPair);
  if (typeof more === 'boolean') members.missing_more = more;
  if (typeof expected === 'string' || typeof expected === 'number') members.expected = expected;
  if (typeof actual === 'string' || typeof actual === 'number') members.actual = actual;
  if (typeof wait === 'number') members.retry_after = wait;
  if (typeof total === 'number') members.total_bytes = total;
  return members;
}

function isPair(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((n) => typeof n === 'number');
}
