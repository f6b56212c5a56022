/** Signing people in: what every way of doing so, with a password or through a provider, ends in. Tokens in the reply and in cookies. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PersonDocument, Principal } from '../contracts.ts';
import { LadingError } from '../errors.ts';
import { normalizeEmail } from '../identity/people.ts';
import type { Renewable } from '../identity/sign-ins.ts';
import type { Person, SignedIn } from '../protocol/people-schemas.ts';
import { iso } from '../protocol/times.ts';
import { clearCookies, setCookies } from './cookies.ts';
import { wantsSecureCookies } from './csrf.ts';
import type { RouteDeps } from './deps.ts';

/** A person as others may see them: without anything that signs them in. */
export function shownPerson(person: PersonDocument): Person {
  const { id, email, name, surname, role, tenant, createdAt, lastUsed } = person;
  const used = lastUsed === null ? null : iso(lastUsed);
  return { id, email, name, surname, role, tenant, created_at: iso(createdAt), last_used: used };
}

/**
 * Begins a sign-in of a person who has just shown who they are.
 * @param person as they were when they showed it
 * @throws LadingError `unauthorized` when they are gone by now, or have another password
 */
export async function beginSession(
  deps: RouteDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  person: PersonDocument,
): Promise<SignedIn> {
  const { people, signIns } = deps.identity;
  const renewable = await signIns.begin({ kind: 'person', id: person.id });
  // What ends all sign-ins of a person may have come in between, and did not see this one.
  if (people.get(person.id)?.passwordHash !== person.passwordHash) {
    await signIns.end(renewable.signIn.id);
    throw wrongCredentials();
  }
  return answer(deps, request, reply, renewable);
}

/**
 * The next tokens of a sign-in.
 * @throws LadingError `unauthorized`
 */
export async function renewSession(
  deps: RouteDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  refreshToken: string,
): Promise<SignedIn> {
  const { signIns } = deps.identity;
  // A device's is for another door; it is not used up here.
  const family = signIns.familyOf(refreshToken);
  if (family?.kind === 'device') throw wrongCredentials();
  // Whose sign-in ends when the token comes for the second time.
  const principal = family && deps.identity.subject('person', family.subject);
  if (principal) request.audited = { principal };
  return answer(deps, request, reply, await signIns.refresh(refreshToken));
}

/** Buckets of failures by e-mail address, of equal length and apart from those of clients. */
export function personKey(tenant: string, email: string): string {
  const hash = createHash('sha256').update(`${tenant} ${normalizeEmail(email)}`);
  return `person:${hash.digest('base64url')}`;
}

/** Takes the cookies from the browser. */
export function dropCookies(deps: RouteDeps, request: FastifyRequest, reply: FastifyReply): void {
  clearCookies(reply, wantsSecureCookies(request, deps.config.publicUrl));
}

export function wrongCredentials(): LadingError {
  return new LadingError('unauthorized', 'The e-mail address or the password is wrong.');
}

async function answer(
  deps: RouteDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { signIn, refreshToken }: Renewable,
): Promise<SignedIn> {
  const { identity, tokens, clock, config } = deps;
  const principal: Principal | null = identity.subject('person', signIn.subject);
  const person = identity.people.get(signIn.subject);
  if (!principal || !person) {
    // The person is gone, or their tenant.
    await identity.signIns.end(signIn.id);
    throw wrongCredentials();
  }
  const now = clock.now();
  const access = tokens.issue(principal, { signIn: signIn.id });
  const refreshSeconds = Math.round((signIn.expiresAt - now) / 1000);
  setCookies(reply, wantsSecureCookies(request, config.publicUrl), {
    access_token: { value: access.access_token, maxAge: access.expires_in },
    refresh_token: { value: refreshToken, maxAge: refreshSeconds },
  });
  reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' });
  return {
    ...access,
    refresh_token: refreshToken,
    refresh_expires_in: refreshSeconds,
    access_token_expires_at: iso((Math.floor(now / 1000) + access.expires_in) * 1000),
    refresh_token_expires_at: iso(signIn.expiresAt),
    user: shownPerson(person),
  };
}
