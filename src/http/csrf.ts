/**
 * Who made the browser send this. A browser adds its cookies to requests that any page on the web makes it send, so a request that
 * counts by its cookie must say that it comes from a page of ours: by `Sec-Fetch-Site`, which no page can set, or by `Origin` in
 * browsers that do not know the former (W3C Fetch Metadata; RFC 6265 §8.2).
 */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../errors.ts';

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

type Sender = 'same' | 'foreign' | 'unknown';

/**
 * For requests that count by a cookie: those that change something must come from a page of this server, or of an origin of LADING_ALLOWED_ORIGINS.
 * @throws LadingError `forbidden`
 */
export function requireSameOrigin(request: FastifyRequest): void {
  if (SAFE.has(request.method) || senderOf(request) === 'same') return;
  throw new LadingError(
    'forbidden',
    'A request with a cookie must come from a page of this server; programs send Authorization: Bearer <token>.',
  );
}

/**
 * For requests that make the browser keep a cookie: another site must not sign its visitors in as somebody of its choice. Programs, which
 * say nothing of where they come from, keep no cookies for others.
 * @throws LadingError `forbidden`
 */
export function refuseForeign(request: FastifyRequest): void {
  if (senderOf(request) !== 'foreign') return;
  throw new LadingError('forbidden', 'A page of another site cannot do this; go to the page of this server.');
}

function senderOf(request: FastifyRequest): Sender {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (site === 'same-origin') return 'same';
  if (origin !== undefined && request.site.isAllowed(origin)) return 'same';
  // "none" is the person themselves, by the address bar or a tool; what Origin says counts then.
  if (site !== undefined && site !== 'none') return 'foreign';
  if (origin === undefined) return 'unknown';
  return request.site.isOwn(origin) ? 'same' : 'foreign';
}

/**
 * Whether cookies are to be sent over TLS alone. A browser keeps no such cookie that comes over plain HTTP from another machine, so its
 * own word counts first: the scheme in `Origin`, which no page can set. Without that the answer is yes, but for plain HTTP to the machine
 * itself and where the public address of the settings has no TLS: a proxy that does not tell of its TLS must not cost the cookies their
 * protection.
 */
export function wantsSecureCookies({ site, headers: { origin } }: FastifyRequest): boolean {
  if (origin !== undefined && site.isOwn(origin)) return origin.startsWith('https:');
  return site.secure || !(site.isLocal || site.isPlain);
}
