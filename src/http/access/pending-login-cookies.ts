/**
 * Stores pending logins in cookies of the browser, one cookie for each, named by its `state`. So sign-ins in two tabs do not affect each
 * other.
 */
import { createHash } from 'node:crypto';
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  PENDING_LOGIN_SECONDS,
  type PendingLogin,
  type PendingLogins,
} from '../../identity/federation/pending-logins.ts';
import { wantsSecureCookies } from '../request/csrf.ts';

/** Prefix of the cookie names. A hash of the state follows. */
const COOKIE = 'outside_sign_in_';
const COOKIE_PATH = '/v1/auth';
/** Maximum number of pending logins per browser. It sends all their cookies with each request, and servers accept 16 KiB of fields. */
const MAX_PENDING = 4;

/** Stores a pending login in a cookie. Deletes the oldest cookies above the limit. */
export function keepPendingLogin(
  pendingLogins: PendingLogins,
  request: FastifyRequest,
  reply: FastifyReply,
  { state, sealed }: { state: string; sealed: string },
): void {
  const pending = Object.entries(cookiesOf(request))
    .filter(([cookie]) => cookie.startsWith(COOKIE))
    .map(([cookie, text]) => ({ cookie, until: pendingLogins.untilOf(text ?? '') }))
    .sort((a, b) => b.until - a.until);
  pending.forEach(({ cookie, until }, n) => {
    if (n >= MAX_PENDING - 1 || until === 0) setCookie(request, reply, cookie, '', 0);
  });
  setCookie(request, reply, cookieNameOf(state), sealed, PENDING_LOGIN_SECONDS);
}

/** Returns the pending login with this state and deletes its cookie; null if it does not exist or has expired. */
export function takePendingLogin(
  pendingLogins: PendingLogins,
  request: FastifyRequest,
  reply: FastifyReply,
  state: string,
): PendingLogin | null {
  const cookie = cookieNameOf(state);
  const sealed = cookiesOf(request)[cookie];
  if (sealed === undefined) return null;
  setCookie(request, reply, cookie, '', 0);
  return pendingLogins.open(sealed);
}

function cookiesOf({ headers }: FastifyRequest): Record<string, string | undefined> {
  return fastifyCookie.parse(headers.cookie ?? '');
}

function cookieNameOf(state: string): string {
  return `${COOKIE}${createHash('sha256').update(state).digest('hex').slice(0, 16)}`;
}

/** The cookie is `lax`, because the page of the provider redirects the browser to this server. */
function setCookie(request: FastifyRequest, reply: FastifyReply, name: string, value: string, maxAge: number): void {
  const secure = wantsSecureCookies(request);
  const options = { path: request.site.path(COOKIE_PATH), httpOnly: true, sameSite: 'lax', secure, maxAge } as const;
  reply.header('set-cookie', fastifyCookie.serialize(name, value, options));
}
