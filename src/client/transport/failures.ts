/** What can go wrong on the client's side of the wire, and what is worth trying again. */
import { CATALOGUE, type ErrorCode, LadingError, type ProblemMembers } from '../../errors.ts';
import type { TransportResponse } from './transport.ts';
import { readText } from './transport.ts';

/**
 * The server was not reached, the connection broke before the answer was complete, or what answered is no Lading server. Worth trying
 * again unless `final`.
 */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  /** Time does not heal it: a wrong address, a certificate that nobody here trusts. */
  readonly final: boolean;

  constructor(message: string, options: ErrorOptions & { final?: boolean } = {}) {
    super(message, options);
    this.final = options.final ?? false;
  }
}

/**
 * When another try is worth it. `first`: not as long as the server has never answered, for then its address is wrong; later the same
 * failure is a passing one (a resolver that restarts, a portal of a wireless network).
 */
type Permanence = 'transient' | 'first' | 'final';

const TRUST =
  'If you know that it is your server, name the certificate of its authority: --ca FILE, in a program the option ca, or NODE_EXTRA_CA_CERTS=FILE.';

const unsigned: Failure = ['final', `Nobody whom this machine trusts signed the certificate of the server. ${TRUST}`];
const notTls: Failure = [
  'first',
  'The server does not speak TLS there. Write http:// instead of https://, or the port that speaks TLS.',
];
const noTlsInCommon: Failure = ['final', 'The server and this program have no version or cipher of TLS in common.'];
const wantsCertificate: Failure = [
  'final',
  'The server wants a certificate of the client, which this program does not send.',
];
const noHttp: Failure = ['first', 'What answers there does not speak HTTP. Check the address of the server.'];
const unknownHost: Failure = ['first', 'No host has that name. Check the address of the server.'];
const refusedHere: Failure = ['first', 'This machine does not allow the connection. Check its firewall.'];
const silent: Failure = ['transient', 'Nothing came from the server for too long.'];

type Failure = readonly [lasting: Permanence, sentence: string];

/**
 * What the system, OpenSSL and undici call the failures of a connection, whether they last, and what to say. A code that is not listed
 * is transient: giving up too early loses more than a late word.
 */
const FAILURES: Readonly<Record<string, Failure>> = {
  // A server that is being restarted refuses for a while, and a device may start before it does.
  ECONNREFUSED: ['transient', 'Nothing listens at that address. Is the server running?'],
  ECONNRESET: ['transient', 'The connection was cut.'],
  UND_ERR_SOCKET: ['transient', 'The server closed the connection.'],
  EPIPE: ['transient', 'The server closed the connection.'],
  ETIMEDOUT: ['transient', 'The connection timed out.'],
  UND_ERR_CONNECT_TIMEOUT: ['transient', 'The server did not accept a connection in time.'],
  UND_ERR_HEADERS_TIMEOUT: silent,
  UND_ERR_BODY_TIMEOUT: silent,
  EAI_AGAIN: ['transient', 'The name of the server cannot be looked up now; no name server answers.'],
  ENOTFOUND: unknownHost,
  EAI_FAIL: unknownHost,
  EACCES: refusedHere,
  EPERM: refusedHere,
  DEPTH_ZERO_SELF_SIGNED_CERT: ['final', `The certificate of the server is signed by itself. ${TRUST}`],
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
    'The certificate of the server has expired. Renew it there; if it has not, set the clock of this machine.',
  ],
  CERT_NOT_YET_VALID: [
    'final',
    'The certificate of the server is not valid yet. Set the clock of this machine, or look at the certificate there.',
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'final',
    'The certificate of the server is for another host name. Use the name that it is for.',
  ],
  UND_ERR_PRX_TLS: ['final', 'The certificate of the server or of the proxy is for another host name.'],
  ERR_SSL_WRONG_VERSION_NUMBER: notTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: notTls,
  ERR_SSL_HTTP_REQUEST: notTls,
  ERR_SSL_UNSUPPORTED_PROTOCOL: noTlsInCommon,
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: noTlsInCommon,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: noTlsInCommon,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: noTlsInCommon,
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: ['final', 'The server knows no host of that name. Check its address.'],
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: wantsCertificate,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: wantsCertificate,
  // Anything else that the handshake ends with.
  EPROTO: notTls,
};

/** Made of what a connection ended with. @param met the server has answered before, so its address is right */
export function networkError(error: unknown, met: boolean): NetworkError {
  const cause = causeOf(error);
  const code = codeOf(cause);
  const known = FAILURES[code] ?? (code.startsWith('HPE_') ? noHttp : undefined);
  if (known !== undefined) {
    const [lasting, sentence] = known;
    const final = lasting === 'final' || (lasting === 'first' && !met);
    return new NetworkError(`${sentence}${detailOf(cause, code)}`, { cause: error, final });
  }
  const said = cause instanceof Error && cause.message !== '' ? cause.message : 'no reason given';
  const more = code === '' || said.includes(code) ? '' : ` (${code})`;
  return new NetworkError(`The connection failed: ${said}${more}.`, { cause: error });
}

/** How plain HTTP ends at a server of TLS: it closes the connection, or says in its own protocol what it thinks of it. */
export function isConnectionCut(error: unknown): boolean {
  const code = codeOf(causeOf(error));
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code.startsWith('HPE_');
}

/** What a server of TLS is not trusted for. */
export function isTlsFailure(error: unknown): boolean {
  const known = FAILURES[codeOf(causeOf(error))];
  return known !== undefined && known[0] === 'final';
}

export function tlsRequired(url: string): NetworkError {
  const { host } = new URL(url);
  return new NetworkError(`The server speaks TLS. Write https://${host} instead of http://${host}.`, { final: true });
}

/** The failure with a code beneath what `fetch` and several tries at once wrap around it. */
function causeOf(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return causeOf(error.errors[0]);
  if (error instanceof Error && error.cause instanceof Error) return causeOf(error.cause);
  return error;
}

function codeOf(error: unknown): string {
  // undici loses the code of its parser now and then.
  if (error instanceof Error && error.name === 'HTTPParserError') return 'HPE_INVALID';
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** ` (ENOTFOUND files.example.org)`: the system's own words for those who look further. */
function detailOf(error: unknown, code: string): string {
  const { hostname, address, port } = error as { hostname?: unknown; address?: unknown; port?: unknown };
  const where = hostname ?? (address === undefined ? undefined : `${address}${port === undefined ? '' : `:${port}`}`);
  return ` (${code}${where === undefined ? '' : ` ${where}`})`;
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
  if (error instanceof NetworkError) return !error.final;
  if (!(error instanceof LadingError)) return false;
  // What the server does not do at all, it does not do later either (RFC 9110 §15.6.2).
  if (error.status === 501 || error.status === 505) return false;
  // Bytes that the server has lost come back when somebody restores them, not by asking again.
  if (error.code === 'file_damaged') return false;
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
