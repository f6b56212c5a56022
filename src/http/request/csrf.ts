/**
 * Who made the browser send this. A browser adds its cookies to requests that any page on the web makes it send. It says where such a
 * request comes from: in `Sec-Fetch-Site`, which no page can set, or in `Origin` if it does not know the former (W3C Fetch Metadata;
 * RFC 6265 §8.2). A request with neither comes from a program that keeps cookies, and passes, as in Go's CrossOriginProtection.
 */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * For requests that count by a cookie: those that change something must not come from a page, unless it is one of this server or of an
 * origin of LADING_ALLOWED_ORIGINS.
 * @throws LadingError `forbidden`
 */
export function requireSameOrigin(request: FastifyRequest): void {
  if (SAFE.has(request.method) || !isForeign(request)) return;
  throw new LadingError(
    'forbidden',
    'A request with a cookie must come from a page of this server, or of an origin of LADING_ALLOWED_ORIGINS.',
  );
}

/**
 * For requests that make the browser keep a cookie, whatever their method: another site must not sign its visitors in as somebody of its
 * choice.
 * @throws LadingError `forbidden`
 */
export function refuseForeign(request: FastifyRequest): void {
  if (!isForeign(request)) return;
  throw new LadingError(
    'forbidden',
    `A page of another site cannot do this; go to the page of this server.${why(request)}`,
  );
}

/** What makes a page of this server look like one of another, for whoever looks after the server. */
function why({ headers: { origin, 'sec-fetch-site': from }, site }: FastifyRequest): string {
  if (origin === undefined || from === 'cross-site') return '';
  if (origin === 'null') return ' The browser does not say which site the page is of (Origin: null).';
  // Only a proxy with TLS that does not tell of it makes a difference of this sort.
  if (originHost(origin) !== originHost(site.origin ?? '')) return '';
  return (
    ` The page is of ${origin}, and this server takes itself for ${site.origin}: ` +
    'set LADING_PUBLIC_URL, or have the proxy send X-Forwarded-Proto and be named in LADING_TRUST_PROXY.'
  );
}

function originHost(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).hostname : null;
}

/** True for a request that a page makes which is neither of this server nor of an allowed origin. */
export function isForeign(request: FastifyRequest): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (site === 'same-origin') return false;
  if (origin !== undefined && request.site.isAllowed(origin)) return false;
  // "none" is the person themselves, by the address bar or a tool; what Origin says counts then.
  if (site !== undefined && site !== 'none') return true;
  return origin !== undefined && !request.site.isOwn(origin);
}

/**
 * Whether cookies are to be sent over TLS alone. Who comes over plain HTTP from another machine never sends such a cookie back. A browser
 * says how it came: the scheme in `Origin`, which no page can set. A program says nothing, and comes without TLS where no TLS is seen; a
 * cookie that is not Secure works for it behind a proxy with TLS, too. For other requests the answer is yes, but for plain HTTP to the
 * machine itself and where the public address of the settings has no TLS: a proxy that does not tell of its TLS must not cost the cookies
 * their protection.
 */
export function wantsSecureCookies(request: FastifyRequest): boolean {
  const { site, headers } = request;
  if (headers.origin !== undefined && site.isOwn(headers.origin)) return headers.origin.startsWith('https:');
  return site.secure || !(site.isLocal || site.isPlain || isProgram(request));
}

/** True for what no browser sends: it tells of each request that changes something where it comes from. */
function isProgram({ method, headers }: FastifyRequest): boolean {
  return !SAFE.has(method) && headers.origin === undefined && headers['sec-fetch-site'] === undefined;
}
