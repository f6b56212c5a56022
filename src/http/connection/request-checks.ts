/** What is wrong with a request before anything of it is looked at: its version, its host, and fields that may be there once. */
import { type IncomingMessage, METHODS } from 'node:http';
import { LadingError } from '../../errors.ts';
import { type PathRules, rulesOf } from '../request/path-rules.ts';
import { isHost, pathOf } from '../request/target.ts';

/**
 * Fields with one value, on which framing, rights or the bytes that are stored depend. Node drops every line but the first, a proxy in
 * front may have looked at the last, so a second line is refused (RFC 9110 §5.3).
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
 * @returns `invalid_request`, or null when nothing is wrong
 */
export function checkMessage(message: IncomingMessage): LadingError | null {
  const wrong = 'stream' in message ? http2Fault(message) : http1Fault(message);
  const what = wrong ?? repeatedField(message.rawHeaders);
  return what === null ? null : new LadingError('invalid_request', what);
}

const MAY_HAVE_CONTENT = new Set(['POST', 'PUT', 'PATCH']);

/**
 * True for a request that may bring content and does not say how much. It has none (RFC 9112 §6.3), but what follows may be the content
 * that its sender means: bytes of a file must not be read as requests.
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
  const said = authority ?? host;
  if (said === undefined) return 'The request has neither :authority nor a Host field.';
  if (typeof said !== 'string' || !isHost(said)) return 'The host of the request is not valid.';
  if (host !== undefined && host.toLowerCase() !== said.toLowerCase()) return ':authority and Host are different.';
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
 * The target of a request as path and query. A target in absolute form (RFC 9112 §3.2.2) names the host, whatever `Host` says; but a
 * `Host` there must be, and a sound one (§3.2). Node's HTTP/2 refuses such a path.
 *
 *     GET http://files.example.org/health  →  /health
 */
export function originForm(message: Pick<IncomingMessage, 'url' | 'headers' | 'httpVersion'>): string {
  const { url = '/', headers, httpVersion } = message;
  const [found, authority = ''] = /^https?:\/\/([^/?#]*)/i.exec(url) ?? [];
  if (found === undefined) return url;
  const { host } = headers;
  // Without `user@`, which is no part of a host; an empty one is refused like an empty Host.
  if (host === undefined ? httpVersion === '1.0' : isHost(host)) {
    headers.host = authority.slice(authority.lastIndexOf('@') + 1);
  }
  const rest = url.slice(found.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** 1024 bytes of a name, percent-encoded. */
const MAX_SEGMENT = 3 * 1024;
/** The methods that the router knows. HTTP/1.1 requests have no others, for node's parser refuses them; HTTP/2 carries any. */
const ROUTED: ReadonlySet<string> = new Set(METHODS);
/** Requests whose path is not percent-encoded UTF-8. */
const unreadable = new WeakSet<IncomingMessage>();
/** Requests with an unknown method. */
const unknownMethods = new WeakSet<IncomingMessage>();

/**
 * The router answers a path that it cannot decode and a method that it does not know without any hook, so such a request would be in no
 * log and no limit. It is routed by the path as it stands, as a GET, and `unreadableTarget` refuses it like all others.
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
 * @param rules what protocols say of the paths below their folders
 * @returns null when there is nothing to refuse
 */
export function unreadableTarget(message: IncomingMessage, rules: readonly PathRules[]): LadingError | null {
  const { url = '/', method } = message;
  if (unknownMethods.has(message)) return new LadingError('not_implemented', 'This server does not know the method.');
  if (!url.startsWith('/') && method !== 'OPTIONS') {
    return new LadingError('invalid_request', 'The target of the request is no path.');
  }
  const rule = url.length > MAX_SEGMENT || unreadable.has(message) ? rulesOf(pathOf(url), rules) : undefined;
  if (url.length > MAX_SEGMENT && rule?.anyLength !== true) {
    const long = pathOf(url)
      .split('/')
      .some(({ length }) => length > MAX_SEGMENT);
    if (long) return new LadingError('invalid_request', 'A part of the path is too long.');
  }
  if (!unreadable.has(message)) return null;
  return rule?.undecodable?.() ?? new LadingError('invalid_request', 'The path is not percent-encoded UTF-8.');
}
