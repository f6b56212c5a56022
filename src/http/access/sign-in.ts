/** Creates and ends the sessions of people, for sign-ins with a password and through a provider. Tokens are in the reply and in cookies. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens, VerifiedToken } from '../../identity/access-tokens.ts';
import type { IssuedSession } from '../../identity/credentials/sessions.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { SecretTraits } from '../../identity/limits/throttle.ts';
import { normalizeEmail, normalizeUsername } from '../../identity/subjects/people.ts';
import { networkOf } from '../../protocol/ip.ts';
import type { Person, SignedIn } from '../../protocol/schemas/identity/people.ts';
import { iso } from '../../protocol/times.ts';
import type { Principal } from '../../records/principal.ts';
import type { AccountKind, PersonDocument } from '../../records/subjects.ts';
import type { Config } from '../../settings/config.ts';
import { setCookies } from '../request/cookies.ts';

/** What these functions need from the server. */
export interface SessionDeps {
  config: Pick<Config, 'accountDays'>;
  identity: Identity;
  clock: Clock;
  tokens: Tokens;
}

/** A person as replies show them, without credentials. */
export function shownPerson(person: PersonDocument): Person {
  const { id, email, name, surname, role, tenant, createdAt, lastUsed, account, disabled } = person;
  const used = lastUsed === null ? null : iso(lastUsed);
  const named = account ? { username: account.username, account_kind: account.kind } : {};
  const isAdmin = role === 'admin' || role === 'root';
  const address = email ?? account?.contact ?? null;
  const shown = { id, email: address, name, surname, is_admin: isAdmin, role, tenant, ...named };
  return { ...shown, created_at: iso(createdAt), last_used: used, ...(disabled ? { disabled } : {}) };
}

/**
 * Begins a session of a person who has just authenticated.
 * @param person as it was during the authentication
 * @throws LadingError `unauthorized` if the person has been deleted or the password has changed since then
 */
export async function beginSession(
  deps: Pick<SessionDeps, 'identity' | 'tokens' | 'clock'>,
  request: FastifyRequest,
  reply: FastifyReply,
  person: PersonDocument,
): Promise<SignedIn> {
  const renewable = await beginSignIn(deps, request, person);
  if (!renewable) throw wrongCredentials();
  return answer(deps, request, reply, renewable);
}

/**
 * Begins a session with one access token that is valid as long as the session, for ops and client accounts, whose programs keep the token.
 * The token contains the name and the kind of the account.
 * @returns null if the person has been deleted or the password has changed since the authentication
 */
export async function beginLongSession(
  deps: Pick<SessionDeps, 'identity' | 'tokens' | 'config'>,
  request: FastifyRequest,
  person: PersonDocument,
): Promise<string | null> {
  const { identity, tokens, config } = deps;
  const renewable = await beginSignIn(deps, request, person, config.accountDays * 24 * 3600 * 1000);
  const principal = identity.subject('person', person.id);
  if (!renewable || !principal) return null;
  const { id, expiresAt } = renewable.session;
  return tokens.grant(principal, { signIn: id, until: expiresAt, account: person.account }).token;
}

async function beginSignIn(
  { identity }: Pick<SessionDeps, 'identity'>,
  request: FastifyRequest,
  person: PersonDocument,
  longMs?: number,
): Promise<IssuedSession | null> {
  const { people, sessions } = identity;
  const agent = request.headers['user-agent'];
  const renewable = await sessions.begin({ kind: 'person', id: person.id }, null, {
    agent,
    longMs,
    network: networkOf(request.ip),
  });
  // A change of the password ends all sessions, but may have missed this one.
  if (people.get(person.id)?.passwordHash === person.passwordHash) return renewable;
  await sessions.end(renewable.session.id);
  return null;
}

/**
 * Ends the session of an access token, or revokes the token if it has no session. Durable when the promise resolves.
 * @returns the principal; null if the token is no longer valid
 */
export async function endSessionOf(
  { identity, tokens }: Pick<SessionDeps, 'identity' | 'tokens'>,
  token: string,
): Promise<Principal | null> {
  const verified = verifiedToken(tokens, token);
  if (!verified) return null;
  const { sid } = verified.claims;
  if (sid === undefined) await tokens.revoke(verified.claims);
  else await identity.sessions.end(sid);
  return verified.principal;
}

function verifiedToken(tokens: SessionDeps['tokens'], token: string): VerifiedToken | null {
  try {
    return tokens.inspect(token);
  } catch {
    return null;
  }
}

/**
 * Returns the next tokens of a session.
 * @throws LadingError `unauthorized`
 */
export async function renewSession(
  deps: Pick<SessionDeps, 'identity' | 'tokens' | 'clock'>,
  request: FastifyRequest,
  reply: FastifyReply,
  refreshToken: string,
): Promise<SignedIn> {
  const { sessions } = deps.identity;
  // The refresh token of a device belongs to another route; do not use it up.
  const family = sessions.familyOf(refreshToken);
  if (family?.kind === 'device') throw wrongCredentials();
  // For the audit log: a refresh token that is used twice ends the session.
  const principal = family && deps.identity.subject('person', family.subject);
  if (principal) request.audited = { principal };
  return answer(deps, request, reply, await sessions.refresh(refreshToken));
}

/** Options of the throttle for a password of a person. A network of earlier sessions of the person counts as known. */
export function passwordAttempt(
  { sessions }: Identity,
  person: PersonDocument | null,
  { ip }: FastifyRequest,
): SecretTraits {
  const known = (): boolean => person !== null && sessions.beganFrom({ kind: 'person', id: person.id }, networkOf(ip));
  return { chosen: true, known };
}

/** The throttle key of an e-mail address. All keys have the same length and differ from those of clients. */
export function personKey(tenant: string, email: string): string {
  const hash = createHash('sha256').update(`${tenant} ${normalizeEmail(email)}`);
  return `person:${hash.digest('base64url')}`;
}

/** The throttle key of a person, for any way to sign in. */
export function keyOf({ tenant, email, account, id }: PersonDocument): string {
  if (account) return namedKey(tenant, account.kind, account.username);
  return personKey(tenant, email ?? id);
}

/** The throttle key of an ops or client account, which signs in with a user name. */
export function namedKey(tenant: string, kind: AccountKind, username: string): string {
  return personKey(`${tenant} ${kind}`, normalizeUsername(username));
}

/** The error for a failed sign-in of a person, the same for every reason. */
export function wrongCredentials(): LadingError {
  return new LadingError('unauthorized', 'The e-mail address or the password is wrong.');
}

async function answer(
  deps: Pick<SessionDeps, 'identity' | 'tokens' | 'clock'>,
  request: FastifyRequest,
  reply: FastifyReply,
  { session: signIn, refreshToken }: IssuedSession,
): Promise<SignedIn> {
  const { identity, tokens, clock } = deps;
  const principal: Principal | null = identity.subject('person', signIn.subject);
  const person = identity.people.get(signIn.subject);
  if (!principal || !person) {
    // The person or the tenant has been deleted.
    await identity.sessions.end(signIn.id);
    throw wrongCredentials();
  }
  const access = tokens.issue(principal, { signIn: signIn.id });
  const refreshSeconds = Math.round((signIn.expiresAt - clock.steady()) / 1000);
  setCookies(request, reply, {
    access_token: { value: access.access_token, maxAge: access.expires_in },
    refresh_token: { value: refreshToken, maxAge: refreshSeconds },
  });
  reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' });
  const user = shownPerson(person);
  const { id, name, surname, email, is_admin } = user;
  return {
    ...access,
    refresh_token: refreshToken,
    refresh_expires_in: refreshSeconds,
    access_token_expires_at: iso((Math.floor(clock.now() / 1000) + access.expires_in) * 1000),
    refresh_token_expires_at: iso(clock.dateOf(signIn.expiresAt)),
    user,
    ...{ id, name, surname, email, is_admin },
  };
}
