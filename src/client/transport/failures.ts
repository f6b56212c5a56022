/** Errors of the client library, and which of them are worth a retry. */
import { CATALOGUE, type ErrorCode, LadingError, type ProblemMembers } from '../../errors.ts';
import type { TransportResponse } from './transport.ts';
import { readText } from './transport.ts';

/**
 * The server was not reached, the connection broke before the reply was complete, or the reply is not from a Lading server. Worth a retry
 * unless `final`.
 */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  /** True when a retry cannot succeed: a wrong address, an untrusted certificate. */
  readonly final: boolean;

  constructor(message: string, options: ErrorOptions & { final?: boolean } = {}) {
    super(message, options);
    this.final = options.final ?? false;
  }
}

/**
 * Whether a failure is worth a retry. `first`: final until the server has answered once, because the address is probably wrong; then
 * transient (a restarting resolver, the portal of a wireless network).
 */
type Permanence = 'transient' | 'first' | 'final';

const CA_ADVICE =
  'If it is your server, specify the certificate of its authority: --ca FILE, the option ca of the library, or NODE_EXTRA_CA_CERTS=FILE.';

const unsigned: Failure = ['final', `The certificate of the server is not signed by a trusted authority. ${CA_ADVICE}`];
const noTls: Failure = [
  'first',
  'The server does not use TLS on this port. Use http:// instead of https://, or the port with TLS.',
];
const noCommonTls: Failure = ['final', 'The server and this program share no TLS version or cipher.'];
const clientCertificateRequired: Failure = [
  'final',
  'The server requires a client certificate, which this program does not support.',
];
const noHttp: Failure = ['first', 'The server does not speak HTTP. Check its address.'];
const unknownHost: Failure = ['first', 'The host name does not exist. Check the address of the server.'];
const blockedLocally: Failure = ['first', 'This machine blocked the connection. Check its firewall.'];
const silent: Failure = ['transient', 'The server sent nothing in time.'];

type Failure = readonly [permanence: Permanence, sentence: string];

/**
 * Failures by the error codes of the system, OpenSSL and undici. A code that is not listed is transient: giving up too early loses more
 * than a late error.
 */
const FAILURES: Readonly<Record<string, Failure>> = {
  // A restarting server refuses connections for a while, and a device may start before it.
  ECONNREFUSED: ['transient', 'The connection was refused. Is the server running?'],
  ECONNRESET: ['transient', 'The connection was reset.'],
  UND_ERR_SOCKET: ['transient', 'The server closed the connection.'],
  EPIPE: ['transient', 'The server closed the connection.'],
  ETIMEDOUT: ['transient', 'The connection timed out.'],
  UND_ERR_CONNECT_TIMEOUT: ['transient', 'The server did not accept a connection in time.'],
  UND_ERR_HEADERS_TIMEOUT: silent,
  UND_ERR_BODY_TIMEOUT: silent,
  EAI_AGAIN: ['transient', 'The host name cannot be resolved, because no name server answers.'],
  ENOTFOUND: unknownHost,
  EAI_FAIL: unknownHost,
  EACCES: blockedLocally,
  EPERM: blockedLocally,
  DEPTH_ZERO_SELF_SIGNED_CERT: ['final', `The certificate of the server is self-signed. ${CA_ADVICE}`],
  SELF_SIGNED_CERT_IN_CHAIN: unsigned,
  UNABLE_TO_GET_ISSUER_CERT: unsigned,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unsigned,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unsigned,
  CERT_UNTRUSTED: unsigned,
  CERT_REJECTED: unsigned,
  CERT_SIGNATURE_FAILURE: unsigned,
  INVALID_CA: unsigned,
  CERT_REVOKED: ['final', 'The certificate of the server is revoked.'],
  CERT_HAS_EXPIRED: [
    'final',
    'The certificate of the server has expired. Renew it, or correct the clock of this machine.',
  ],
  CERT_NOT_YET_VALID: [
    'final',
    'The certificate of the server is not valid yet. Correct the clock of this machine, or check the certificate.',
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: ['final', 'The certificate of the server is for a different host name. Use that name.'],
  UND_ERR_PRX_TLS: ['final', 'The certificate of the server or proxy is for a different host name.'],
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_SSL_HTTP_REQUEST: noTls,
  ERR_SSL_UNSUPPORTED_PROTOCOL: noCommonTls,
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: noCommonTls,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: noCommonTls,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: noCommonTls,
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: ['final', 'The server does not serve this host name. Check its address.'],
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: clientCertificateRequired,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: clientCertificateRequired,
  // Any other failure of the handshake.
  EPROTO: noTls,
};

/** Converts an error of a connection. @param hasAnswered true when the server has answered before, so that its address is right */
export function networkError(error: unknown, hasAnswered: boolean): NetworkError {
  const cause = causeOf(error);
  const code = codeOf(cause);
  const known = FAILURES[code] ?? (code.startsWith('HPE_') ? noHttp : undefined);
  if (known !== undefined) {
    const [permanence, sentence] = known;
    const final = permanence === 'final' || (permanence === 'first' && !hasAnswered);
    return new NetworkError(`${sentence}${detailOf(cause, code)}`, { cause: error, final });
  }
  const reason = cause instanceof Error && cause.message !== '' ? cause.message : 'no reason given';
  const more = code === '' || reason.includes(code) ? '' : ` (${code})`;
  return new NetworkError(`The connection failed: ${reason}${more}.`, { cause: error });
}

/** True for errors of plain HTTP to a TLS server: it closes the connection or answers with a TLS alert. */
export function isConnectionCut(error: unknown): boolean {
  const code = codeOf(causeOf(error));
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code.startsWith('HPE_');
}

/** True for a failure that only a TLS server causes. */
export function isTlsFailure(error: unknown): boolean {
  const known = FAILURES[codeOf(causeOf(error))];
  return known !== undefined && known[0] === 'final';
}

/** The final error for plain HTTP to a TLS server. */
export function tlsRequired(url: string): NetworkError {
  const { host } = new URL(url);
  return new NetworkError(`The server requires TLS. Use https://${host} instead of http://${host}.`, { final: true });
}

/** The innermost error, below the wrappers of `fetch` and of parallel connection attempts. */
function causeOf(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0]);
  if (error instanceof Error && error.cause instanceof Error) return causeOf(error.cause);
  return error;
}

function codeOf(error: unknown): string {
  // undici sometimes loses the code of its parser.
  if (error instanceof Error && error.name === 'HTTPParserError') return 'HPE_INVALID';
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** ` (ENOTFOUND files.example.org)`: the system's error code and address, for diagnosis. */
function detailOf(error: unknown, code: string): string {
  const { hostname, address, port } = error as { hostname?: unknown; address?: unknown; port?: unknown };
  const where = hostname ?? (address === undefined ? undefined : `${address}${port === undefined ? '' : `:${port}`}`);
  return ` (${code}${where === undefined ? '' : ` ${where}`})`;
}

/** Bytes are wrong although every request succeeded. */
export class VerificationError extends Error {
  override readonly name = 'VerificationError';
}

/** The local file changed during the upload. */
export class SourceChangedError extends Error {
  override readonly name = 'SourceChangedError';
}

/** True for failures that a retry may overcome: the network, an overloaded or restarting server, a full disk, a rate limit. */
export function isTransient(error: unknown): boolean {
  if (error instanceof NetworkError) return !error.final;
  if (!(error instanceof LadingError)) return false;
  // The server does not support the request and will not support it later (RFC 9110 §15.6.2).
  if (error.status === 501 || error.status === 505) return false;
  // Lost bytes return only from a backup.
  if (error.code === 'file_damaged') return false;
  return error.status >= 500 || error.status === 408 || error.status === 429;
}

/** The delay that the server requested, in milliseconds; 0 if none. */
export function retryAfterMs(error: unknown): number {
  if (!(error instanceof LadingError)) return 0;
  return Math.max(0, (error.members.retry_after ?? 0) * 1000);
}

/** Converts an error response (problem+json, or one of an intermediary) to a `LadingError`. */
export async function problemOf(response: TransportResponse): Promise<LadingError> {
  const body = response.header('content-type')?.includes('json') ? await readText(response, 1024 * 1024) : '';
  if (body === '') response.discard();
  const problem = parseObject(body);
  const members = membersOf(problem);
  // Use the clock of the server, which computed the date.
  const date = Date.parse(response.header('date') ?? '');
  const wait = parseRetryAfter(response.header('retry-after'), Number.isNaN(date) ? Date.now() : date);
  if (wait !== null) members.retry_after = wait;
  const code = problem.code;
  // OAuth names the member error_description (RFC 6749 §5.2).
  const text = [problem.detail, problem.error_description].find((value) => typeof value === 'string');
  const detail = text ?? `The server answered ${response.status}.`;
  return new LadingError(isCode(code) ? code : codeOfStatus(response.status), detail, members);
}

/** Parses `Retry-After`: seconds or a date (RFC 9110 §10.2.3); null if it is neither. @param now when the response was sent */
export function parseRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null;
  if (/^\s*\d+\s*$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000));
}

/** Parses a JSON object; empty for anything else. */
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

/** The nearest error code for a response without one, such as that of a proxy or newer server. */
function codeOfStatus(status: number): ErrorCode {
  const known: Record<number, ErrorCode> = {
    401: 'unauthorized',
    403: 'forbidden',
    404: 'not_found',
    405: 'method_not_allowed',
    408: 'request_timeout',
    409: 'chunk_conflict',
    411: 'length_required',
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
