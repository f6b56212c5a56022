/**
 * The two cookies of a person who signed in with a browser. Scripts cannot read them. The browser sends the refresh token only to the
 * sign-in routes and never from another site. It sends the access token also when a person follows a link from another site, so that
 * links to files work.
 */
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { wantsSecureCookies } from './csrf.ts';

export const ACCESS_COOKIE = 'access_token';
export const REFRESH_COOKIE = 'refresh_token';
/** Permission to play one file; see `api/players.ts`. */
export const PLAYER_COOKIE = 'player';

const ATTRIBUTES = {
  [ACCESS_COOKIE]: { path: '/', sameSite: 'lax' },
  [REFRESH_COOKIE]: { path: '/v1/auth', sameSite: 'strict' },
} as const;

type CookieName = keyof typeof ATTRIBUTES;

export interface CookieValue {
  value: string;
  /** Seconds. */
  maxAge: number;
}

/** The value of a cookie in a `Cookie` field, or null. The cookie plugin must be registered, because it loads the parser. */
export function cookieOf(field: string | undefined, name: CookieName): string | null {
  return field === undefined ? null : (fastifyCookie.parse(field)[name] ?? null);
}

/** Sets both cookies. Their attributes depend on whether the page belongs to another site. */
export function setCookies(
  request: FastifyRequest,
  reply: FastifyReply,
  values: Record<CookieName, CookieValue>,
): void {
  // A page of another site needs SameSite=None. The check of `Origin` protects these cookies instead.
  const crossSite = isCrossSite(request);
  const secure = crossSite || wantsSecureCookies(request);
  for (const name of [ACCESS_COOKIE, REFRESH_COOKIE] as const) {
    const { value, maxAge } = values[name];
    const { path, sameSite } = ATTRIBUTES[name];
    const options = {
      path: request.site.path(path),
      sameSite: crossSite ? ('none' as const) : sameSite,
      httpOnly: true,
      secure,
      maxAge,
    };
    // Fastify appends to Set-Cookie instead of replacing it.
    reply.header('set-cookie', fastifyCookie.serialize(name, value, options));
  }
}

/** True for a page of another site whose origin is allowed. */
function isCrossSite({ headers: { origin, 'sec-fetch-site': from }, site, hostname }: FastifyRequest): boolean {
  if (origin === undefined || from === 'same-origin' || !site.isAllowed(origin)) return false;
  // An origin with another port may be the same site. Without TLS, browsers do not store Secure cookies, and the same site needs none.
  const isSameSite = from === 'same-site' || (site.isPlain && new URL(origin).hostname === hostname.toLowerCase());
  return site.secure || !isSameSite;
}

/** Makes the browser delete both cookies. */
export function clearCookies(request: FastifyRequest, reply: FastifyReply): void {
  const expired = { value: '', maxAge: 0 };
  setCookies(request, reply, { [ACCESS_COOKIE]: expired, [REFRESH_COOKIE]: expired });
}
