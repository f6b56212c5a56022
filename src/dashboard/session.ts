/** The session of this page. Secrets stay in memory; only the current token survives a reload, in this tab alone. */

import { BrowserSessions } from '../client/calls/browser-sessions.ts';
import { LadingClient } from '../client/client.ts';
import { isTransient } from '../client/transport/failures.ts';
import { LadingError } from '../errors.ts';
import type { Verified } from '../protocol/schemas/identity/oauth.ts';
import type { Role } from '../protocol/schemas/role.ts';
import { messageOf } from './format.ts';

/** URL of the server: the directory of this page. */
export const SERVER = new URL('.', location.href).href;

/**
 * Resolves a path or URL from the server to one that this page can reach. Behind a proxy that strips a path prefix, the server may or may
 * not know the prefix.
 */
export function serverAddress(url: string): string {
  const { pathname: base } = new URL(SERVER);
  if (!url.startsWith('/') || (base !== '/' && url.startsWith(base))) return new URL(url, SERVER).href;
  return new URL(url.slice(1), SERVER).href;
}

const STORAGE_KEY = 'lading.token';
const ENDED = 'The session has ended. Sign in again.';
/** Delays between attempts to renew. */
const RETRY_MS = [300, 1000, 3000];

/** Kept in session storage: survives a reload, in this tab alone. */
interface StoredSignIn {
  token: string;
  /** True when the session cookie renews it. */
  cookie: boolean;
  /** Id of the principal. */
  subject: string | null;
}

const people = new BrowserSessions(SERVER);

/** From least to most rights. */
const ROLES: readonly Role[] = ['client', 'ops', 'admin', 'root'];

/** A signed-in principal and its client. */
export interface Session {
  client: LadingClient;
  /** Id of the principal. */
  subject: string;
  /** The principal and its rights. The server checks them again at every request. */
  rights: Verified;
  /** True for this role or a higher one, without reduced scopes. */
  atLeast(role: Role): boolean;
  /** Returns a valid token. Pass the previous one if it was refused. */
  token(refused: string | null): Promise<string>;
  /** Sets a listener that receives the reason when the session can no longer be renewed. */
  onEnded(listener: (reason: string) => void): void;
  /** Signs out, also on the server if possible. */
  signOut(): Promise<void>;
}

/** The credentials of a sign-in. */
export type SignIn =
  | { kind: 'account'; email: string; password: string }
  | { kind: 'client'; id: string; secret: string }
  | { kind: 'token'; token: string };

/** @throws LadingError `unauthorized`, NetworkError */
export async function signIn(how: SignIn): Promise<Session> {
  if (how.kind === 'account') {
    const { access_token: token, user } = await withSignInLock(() => people.signIn(how.email, how.password));
    return establish(token, 'cookie', user.id);
  }
  if (how.kind === 'token') return establish(how.token.trim(), null, null);
  const credentials = { server: SERVER, clientId: how.id.trim(), clientSecret: how.secret };
  const signInAgain = async () => new LadingClient(credentials).token();
  return establish(await signInAgain(), signInAgain, null);
}

/** Query parameters with which a sign-in provider returns: the marker, and the reason of a failure. */
const PROVIDER_RETURN = 'from-outside';
const REASON = 'sign_in_error';

/** Messages by reason. */
const REASONS: Record<string, string> = {
  cancelled: 'The sign-in was cancelled at the provider.',
  already_exists: 'An account with this e-mail address exists. Sign in with its password, then link the provider.',
  overloaded: 'The provider cannot be reached. Try again later.',
};

/** Lists the sign-in providers; empty when the server cannot be reached. */
export async function signInProviders(): Promise<{ name: string; href: string }[]> {
  const providers = await people.providers().catch(() => []);
  const back = `${location.pathname}?${PROVIDER_RETURN}`;
  return providers.map(({ name, login_url: url }) => {
    const href = new URL(serverAddress(url));
    href.searchParams.set('return_to', back);
    return { name, href: href.href };
  });
}

/** Resumes the session that this tab had before a reload, or that the browser's cookie can renew. Returns null without one. */
export async function resume(): Promise<Session | null> {
  const query = new URLSearchParams(location.search);
  if (query.has(PROVIDER_RETURN)) {
    history.replaceState(null, '', location.pathname + location.hash);
    const reason = query.get(REASON);
    if (reason !== null) {
      throw new LadingError(
        'forbidden',
        REASONS[reason] ?? 'The provider refused the sign-in, or you have no account here.',
      );
    }
    const { token, subject } = await renewByCookie(null);
    return await establish(token, 'cookie', subject);
  }
  const stored = sessionStorage.getItem(STORAGE_KEY);
  if (stored === null) return null;
  const { token, cookie, subject = null } = JSON.parse(stored) as StoredSignIn;
  try {
    return await establish(token, cookie ? 'cookie' : null, subject);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    sessionStorage.removeItem(STORAGE_KEY);
    if (error instanceof OtherPersonError) throw error;
    return null;
  }
}

/** How to renew the token: by the session cookie, by signing in again, or not at all. */
type Renewal = 'cookie' | (() => Promise<string>) | null;

/** @param expected id of the principal, if known */
async function establish(first: string, renewal: Renewal, expected: string | null): Promise<Session> {
  let token = first;
  let renewing: Promise<string> | null = null;
  let subject = expected;
  let notifyEnd = (_reason: string) => {};
  const save = () => {
    const stored: StoredSignIn = { token, cookie: renewal === 'cookie', subject };
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(stored));
  };
  const renew = async (): Promise<string> => {
    if (renewal === null) throw new LadingError('unauthorized', ENDED);
    return renewal === 'cookie' ? (await renewByCookie(subject)).token : await renewal();
  };
  const current = async (refused: string | null): Promise<string> => {
    if (refused !== token) return token;
    renewing ??= renew().finally(() => {
      renewing = null;
    });
    try {
      token = await renewing;
    } catch (error) {
      if (isRefusal(error)) notifyEnd(messageOf(error));
      throw error;
    }
    save();
    return token;
  };
  const client = new LadingClient({ server: SERVER, renew: current });
  const rights = await client.whoAmI();
  subject = rights.client_id;
  save();
  return {
    client,
    subject,
    rights,
    atLeast: (role) => rights.whole && ROLES.indexOf(rights.role) >= ROLES.indexOf(role),
    token: current,
    onEnded: (listener) => {
      notifyEnd = listener;
    },
    signOut: async () => {
      notifyEnd = () => {};
      sessionStorage.removeItem(STORAGE_KEY);
      if (renewal === 'cookie') await endByCookie(rights.client_id, token).catch(() => {});
      // Signing out does not revoke an API token.
      else if (rights.kind !== 'token') await people.endSession(token).catch(() => {});
    },
  };
}

/** The cookies of the browser belong to another person than this tab. */
class OtherPersonError extends LadingError {
  constructor() {
    super(
      'unauthorized',
      'You were signed out, because someone else signed in with this browser. Sign in again to continue.',
    );
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof LadingError && error.code === 'unauthorized';
}

/**
 * Renews the session by the cookie of the browser, which all tabs share. Another person may have signed in since.
 * @param subject id of the expected person; null accepts any
 * @throws LadingError `unauthorized`, NetworkError
 */
async function renewByCookie(subject: string | null): Promise<{ token: string; subject: string }> {
  const { access_token: token, user } = await withSignInLock(() => withRetries(() => people.renew()));
  if (subject !== null && user.id !== subject) throw new OtherPersonError();
  return { token, subject: user.id };
}

/** Ends the session of this person, but not the session of another person who has signed in with this browser since. */
async function endByCookie(subject: string, token: string): Promise<void> {
  await withSignInLock(async () => {
    const { user } = await people.renew();
    if (user.id === subject) await people.signOut();
    else await people.endSession(token);
  });
}

/** Serializes the renewals of all tabs, because each one replaces the cookie. The lock exists only in secure contexts. */
async function withSignInLock<T>(work: () => Promise<T>): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  return locks === undefined ? await work() : await locks.request('lading.sign-in', work);
}

/** Retries after network failures. The server returns the same successor for a token whose reply was lost. */
async function withRetries<T>(call: () => Promise<T>): Promise<T> {
  for (const pause of RETRY_MS) {
    try {
      return await call();
    } catch (error) {
      if (!isTransient(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return await call();
}
