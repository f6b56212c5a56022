/**
 * Protection against cross-site request forgery. A browser adds its cookies to requests that any page on the web makes it send. It names
 * the origin of such a request in `Sec-Fetch-Site`, which no page can set, or in `Origin` if it does not know the former (W3C Fetch
 * Metadata; RFC 6265 §8.2). A request with neither comes from a program that keeps cookies, and passes, as in Go's CrossOriginProtection.
 */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { SAFE_METHODS } from './target.ts';

/**
 * For requests that are authenticated by a cookie. One that changes something must come from a page of this server or of an origin in
 * LADING_ALLOWED_ORIGINS, or from a program.
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
 * For requests of any method that set a sign-in cookie: another site must not sign its visitors in to an account of the attacker's
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

/** Why a page of this server may look foreign, as a hint for the operator. */
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

/** True for a request of a page that is neither of this server nor of an allowed origin. */
export function isForeign(request: FastifyRequest): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (site === 'same-origin') return false;
  if (origin !== undefined && request.site.isAllowed(origin)) return false;
  // "none" means the person, with the address bar or a tool; then `Origin` decides.
  if (site !== undefined && site !== 'none') return true;
  return origin !== undefined && !request.site.isOwn(origin);
}

/**
 * Whether cookies get the attribute Secure. A client on plain HTTP from another machine would never send a Secure cookie back. A browser
 * names its scheme in `Origin`, which no page can set. A program sends no `Origin`; if no TLS is visible, its cookie is not Secure, which
 * also works behind a proxy with TLS. All other requests get Secure cookies, except on plain HTTP to the machine itself and where the
 * public URL has no TLS: a proxy that does not report its TLS must not cost the cookies their protection.
 */
export function wantsSecureCookies(request: FastifyRequest): boolean {
  const { site, headers } = request;
  if (headers.origin !== undefined && site.isOwn(headers.origin)) return headers.origin.startsWith('https:');
  return site.secure || !(site.isLocal || site.isPlain || isProgram(request));
}

/** True for requests that no browser sends: browsers name the origin of every request that changes something. */
function isProgram({ method, headers }: FastifyRequest): boolean {
  return !SAFE_METHODS.has(method) && headers.origin === undefined && headers['sec-fetch-site'] === undefined;
}
