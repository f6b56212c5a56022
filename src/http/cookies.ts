/**
 * The two cookies of a person who signed in by a browser. No script can read them. The refresh token goes only to where it is of use,
 * and never along when another site sends somebody here; the access token does, so that links to files work.
 */
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyReply } from 'fastify';

export const ACCESS_COOKIE = 'access_token';
export const REFRESH_COOKIE = 'refresh_token';

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

/** The value of a cookie in a `Cookie` field, or null. The plugin must have been registered somewhere: it loads the parser. */
export function cookieOf(field: string | undefined, name: CookieName): string | null {
  return field === undefined ? null : (fastifyCookie.parse(field)[name] ?? null);
}

export function setCookies(reply: FastifyReply, secure: boolean, values: Record<CookieName, CookieValue>): void {
  for (const name of [ACCESS_COOKIE, REFRESH_COOKIE] as const) {
    const { value, maxAge } = values[name];
    const options = { ...ATTRIBUTES[name], httpOnly: true, secure, maxAge };
    // Set-Cookie is the one field that Fastify adds to instead of replacing it.
    reply.header('set-cookie', fastifyCookie.serialize(name, value, options));
  }
}

export function clearCookies(reply: FastifyReply, secure: boolean): void {
  const gone = { value: '', maxAge: 0 };
  setCookies(reply, secure, { [ACCESS_COOKIE]: gone, [REFRESH_COOKIE]: gone });
}
