/** Checks requests before they are routed: the version, the host, repeated fields, the method and the path. */
import { type IncomingMessage, METHODS } from 'node:http';
import { LadingError } from '../../errors.ts';
import { type PathRules, rulesOf } from '../request/path-rules.ts';
import { isHost, pathOf } from '../request/target.ts';

/**
 * Fields that must occur once, because framing, authorization or the stored bytes depend on them. Node keeps the first line, but a proxy may
 * have read the last one, so a repeated line is refused (RFC 9110 §5.3).
 */
const SINGLE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'content-range',
  'transfer-encoding',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'expect',
]);
const MAX_SINGLE = Math.max(...[...SINGLE].map((name) => name.length));

/**
 * Refuses a request that is not HTTP/1.0, HTTP/1.1 or HTTP/2, that repeats a field that must occur once, or that does not name its
 * host (RFC 9112 §2.3, §3.2 and §6.1; RFC 9113 §8.3.1). The connection closes after the answer, because what follows cannot be trusted.
 * @returns `invalid_request`, or null for a valid request
 */
export function checkMessage(message: IncomingMessage): LadingError | null {
  const wrong = 'stream' in message ? http2Fault(message) : http1Fault(message);
  const what = wrong ?? repeatedField(message.rawHeaders);
  return what === null ? null : new LadingError('invalid_request', what);
}

const MAY_HAVE_CONTENT = new Set(['POST', 'PUT', 'PATCH']);

/**
 * True for a request whose method may have content, but which declares no length. It has no content (RFC 9112 §6.3), but its client may
 * send some anyway, and bytes of a file must not be parsed as requests.
 */
export function isUnframed({ method = '', headers }: IncomingMessage): boolean {
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return false;
  return MAY_HAVE_CONTENT.has(method);
}

function http1Fault({ httpVersion, headers }: IncomingMessage): string | null {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return `HTTP/${httpVersion} is not supported; send HTTP/1.1.`;
  if (httpVersion === '1.0' && headers['transfer-encoding'] !== undefined) return 'HTTP/1.0 has no Transfer-Encoding.';
  const { host } = headers;
  if (host === undefined) return httpVersion === '1.1' ? 'The Host field is missing.' : null;
  return isHost(host) ? null : 'The Host field is not valid.';
}

function http2Fault({ headers }: IncomingMessage): string | null {
  const { ':authority': authority, host } = headers;
  const declared = authority ?? host;
  if (declared === undefined) return 'The request has neither :authority nor a Host field.';
  if (typeof declared !== 'string' || !isHost(declared)) return 'The host of the request is not valid.';
  if (host !== undefined && host.toLowerCase() !== declared.toLowerCase()) return ':authority and Host are different.';
  return null;
}

function repeatedField(rawHeaders: readonly string[]): string | null {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const given = rawHeaders[i] ?? '';
    if (given.length > MAX_SINGLE) continue;
    const name = given.toLowerCase();
    if (!SINGLE.has(name)) continue;
    if (seen.has(name)) return `The field ${name} occurs twice.`;
    seen.add(name);
  }
  return null;
}

/**
 * Converts the target of a request to path and query. The host in an absolute target replaces `Host` (RFC 9112 §3.2.2), but a valid `Host`
 * is still required (§3.2). In HTTP/2, node refuses such a target.
 *
 *     GET http://files.example.org/health  →  /health
 */
export function originForm(message: Pick<IncomingMessage, 'url' | 'headers' | 'httpVersion'>): string {
  const { url = '/', headers, httpVersion } = message;
  const [found, authority = ''] = /^https?:\/\/([^/?#]*)/i.exec(url) ?? [];
  if (found === undefined) return url;
  const { host } = headers;
  // Drop `user@`, which is not part of the host. An empty host is refused later.
  if (host === undefined ? httpVersion === '1.0' : isHost(host)) {
    headers.host = authority.slice(authority.lastIndexOf('@') + 1);
  }
  const rest = url.slice(found.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** Limit of a path segment: 1024 bytes, percent-encoded. */
const MAX_SEGMENT = 3 * 1024;
/** The methods that the router knows. Node's parser refuses others in HTTP/1.1, but not in HTTP/2. */
const ROUTED: ReadonlySet<string> = new Set(METHODS);
/** Requests whose path is not percent-encoded UTF-8. */
const unreadable = new WeakSet<IncomingMessage>();
/** Requests with an unknown method. */
const unknownMethods = new WeakSet<IncomingMessage>();

/**
 * Rewrites a request with an undecodable path or an unknown method. The router would answer it without running any hook, so the request
 * would escape the log and the limits. It is routed as a GET of the literal path, and `unreadableTarget` refuses it.
 */
export function markUnreadable(message: IncomingMessage): void {
  const { url = '/', method = 'GET' } = message;
  if (!ROUTED.has(method)) {
    unknownMethods.add(message);
    message.method = 'GET';
  }
  if (!url.includes('%')) return;
  const path = pathOf(url);
  try {
    decodeURIComponent(path);
  } catch {
    unreadable.add(message);
    message.url = path.replaceAll('%', '%25');
  }
}

/**
 * The error for an unknown method (RFC 9110 §9.1), a target that is not a path, or a path that is too long or cannot be decoded.
 * @returns null for a valid target
 */
export function unreadableTarget(message: IncomingMessage, rules: readonly PathRules[]): LadingError | null {
  const { url = '/', method } = message;
  if (unknownMethods.has(message)) return new LadingError('not_implemented', 'The server does not know this method.');
  if (!url.startsWith('/') && method !== 'OPTIONS') {
    return new LadingError('invalid_request', 'The target of the request is not a path.');
  }
  const rule = url.length > MAX_SEGMENT || unreadable.has(message) ? rulesOf(pathOf(url), rules) : undefined;
  if (url.length > MAX_SEGMENT && rule?.anyLength !== true) {
    const long = pathOf(url)
      .split('/')
      .some(({ length }) => length > MAX_SEGMENT);
    if (long) return new LadingError('invalid_request', 'A segment of the path is too long.');
  }
  if (!unreadable.has(message)) return null;
  return rule?.undecodable?.() ?? new LadingError('invalid_request', 'The path is not percent-encoded UTF-8.');
}
