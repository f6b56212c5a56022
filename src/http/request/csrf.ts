/**
 * Protection against cross-site request forgery. A browser adds its cookies to every request to this server, whichever page causes it. It
 * reports where the request comes from in `Sec-Fetch-Site`, which no page can set; older browsers send `Origin` (W3C Fetch Metadata,
 * RFC 6265 §8.2). A request with neither field comes from a program that keeps cookies. It passes, as in Go's CrossOriginProtection.
 */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { SAFE_METHODS } from './target.ts';

/**
 * Checks a request that is authenticated by a cookie. If its method is not safe, it must come from a page of this server, from a page of
 * an origin in LADING_ALLOWED_ORIGINS, or from a program.
 * @throws LadingError `forbidden`
 */
export function requireSameOrigin(request: FastifyRequest): void {
  if (SAFE_METHODS.has(request.method) || !isForeign(request)) return;
  throw new LadingError(
    'forbidden',
    'A request that is authenticated by a cookie must come from a page of this server or of an origin in LADING_ALLOWED_ORIGINS.',
  );
}

/**
 * Checks a request of any method that sets a sign-in cookie. Another site must not sign its visitors in to an account of the attacker's
 * choice.
 * @throws LadingError `forbidden`
 */
export function refuseForeign(request: FastifyRequest): void {
  if (!isForeign(request)) return;
  throw new LadingError(
    'forbidden',
    `A page of another site cannot send this request. Open the page on this server.${foreignHint(request)}`,
  );
}

/** Explains to the operator why a page of this server may look foreign; empty if there is no explanation. */
function foreignHint({ headers: { origin, 'sec-fetch-site': from }, site }: FastifyRequest): string {
  if (origin === undefined || from === 'cross-site') return '';
  if (origin === 'null') return ' The browser did not send the origin of the page (Origin: null).';
  // If the hosts are equal, a proxy with TLS does not report the scheme.
  if (originHost(origin) !== originHost(site.origin ?? '')) return '';
  return (
    ` The origin of the page is ${origin}, but this server expects ${site.origin}: ` +
    'set LADING_PUBLIC_URL, or let the proxy send X-Forwarded-Proto and name it in LADING_TRUST_PROXY.'
  );
}

function originHost(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).hostname : null;
}

/** True for a request from a page that belongs neither to this server nor to an allowed origin. */
export function isForeign(request: FastifyRequest): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (site === 'same-origin') return false;
  if (origin !== undefined && request.site.isAllowed(origin)) return false;
  // "none": a person typed the address or used a bookmark. Then `Origin` decides.
  if (site !== undefined && site !== 'none') return true;
  return origin !== undefined && !request.site.isOwn(origin);
}

/**
 * True if cookies get the attribute Secure. A client that uses plain HTTP from another machine would never send a Secure cookie back.
 *
 *     browser that sends `Origin`   the scheme of the origin decides, which no page can set
 *     program                       Secure if TLS is visible; a plain cookie also works behind a proxy with TLS
 *     other                         Secure, except on plain HTTP to the machine itself and where the public URL has no TLS
 *
 * The last rule keeps the protection behind a proxy that does not report its TLS.
 */
export function wantsSecureCookies(request: FastifyRequest): boolean {
  const { site, headers } = request;
  if (headers.origin !== undefined && site.isOwn(headers.origin)) return headers.origin.startsWith('https:');
  return site.secure || !(site.isLocal || site.isPlain || isProgram(request));
}

/** True for requests that no browser sends: browsers report the origin of every request whose method is not safe. */
function isProgram({ method, headers }: FastifyRequest): boolean {
  return !SAFE_METHODS.has(method) && headers.origin === undefined && headers['sec-fetch-site'] === undefined;
}
