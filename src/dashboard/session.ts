/** Who is signed in on this page. Secrets stay in memory; only the token of the moment outlives a reload, in this tab alone. */

import { BrowserSessions } from '../client/calls/browser-sessions.ts';
import { LadingClient } from '../client/client.ts';
import { isTransient } from '../client/transport/failures.ts';
import { LadingError } from '../errors.ts';
import type { Verified } from '../protocol/schemas/identity/oauth.ts';
import type { Role } from '../protocol/schemas/role.ts';
import { messageOf } from './format.ts';

/** Where the server is: the folder of this page. */
export const SERVER = new URL('.', location.href).href;

/**
 * A path or address that the server told, as this page reaches it. Behind a proxy that takes a path away the server may know of that path,
 * or may not.
 */
export function serverAddress(url: string): string {
  const { pathname: base } = new URL(SERVER);
  if (!url.startsWith('/') || (base !== '/' && url.startsWith(base))) return new URL(url, SERVER).href;
  return new URL(url.slice(1), SERVER).href;
}

const STORAGE_KEY = 'lading.token';
const ENDED = 'The sign-in has ended; sign in again.';
/** Pauses before a renewal is tried again. */
const RETRY_MS = [300, 1000, 3000];

/** What outlives a reload, in this tab alone. */
interface StoredSignIn {
  token: string;
  /** Whether the cookie of the browser renews it. */
  cookie: boolean;
  /** Whose it is. */
  subject: string | null;
}

const people = new BrowserSessions(SERVER);

/** From the least to the most. */
const ROLES: readonly Role[] = ['client', 'ops', 'admin', 'root'];

export interface SignedIn {
  client: LadingClient;
  /** Id of who is signed in. */
  subject: string;
  /** Who that is and what the sign-in may do; the server looks again at every request. */
  rights: Verified;
  /** True when the role is this one or a higher one, with all that it may. */
  atLeast(role: Role): boolean;
  /** A token that should be good; `renew` when the one before was refused. */
  token(refused: string | null): Promise<string>;
  /** The listener is called when the sign-in cannot be renewed any more, with the reason in words. */
  onEnded(listener: (why: string) => void): void;
  /** Ends the sign-in, on the server too where it can be ended there. */
  signOut(): Promise<void>;
}

export type SignIn =
  | { kind: 'account'; email: string; password: string }
  | { kind: 'client'; id: string; secret: string }
  | { kind: 'token'; token: string };

/** @throws LadingError `unauthorized`, NetworkError */
export async function signIn(how: SignIn): Promise<SignedIn> {
  if (how.kind === 'account') {
    const { access_token: token, user } = await withSignInLock(() => people.signIn(how.email, how.password));
    return establish(token, 'cookie', user.id);
  }
  if (how.kind === 'token') return establish(how.token.trim(), null, null);
  const credentials = { server: SERVER, clientId: how.id.trim(), clientSecret: how.secret };
  const fresh = async () => new LadingClient(credentials).token();
  return establish(await fresh(), fresh, null);
}

/** In the query of the page that an outside provider leads back to; and why nobody was signed in. */
const PROVIDER_RETURN = 'from-outside';
const REASON = 'sign_in_error';

/** Reasons in words. */
const REASONS: Record<string, string> = {
  cancelled: 'The sign-in was cancelled at the provider.',
  already_exists: 'This address has an account here: sign in with its password, then link them.',
  overloaded: 'The provider cannot be reached now. Try again in a moment.',
};

/** Providers that people may sign in through; none when the server cannot be asked. */
export async function signInProviders(): Promise<{ name: string; href: string }[]> {
  const providers = await people.providers().catch(() => []);
  const back = `${location.pathname}?${PROVIDER_RETURN}`;
  return providers.map(({ name, login_url: url }) => {
    const href = new URL(serverAddress(url));
    href.searchParams.set('return_to', back);
    return { name, href: href.href };
  });
}

/** The sign-in that this tab had before a reload, or the one that the browser's cookie can renew; null when there is none. */
export async function resume(): Promise<SignedIn | null> {
  const query = new URLSearchParams(location.search);
  if (query.has(PROVIDER_RETURN)) {
    history.replaceState(null, '', location.pathname + location.hash);
    const reason = query.get(REASON);
    if (reason !== null) {
      throw new LadingError(
        'forbidden',
        REASONS[reason] ?? 'The provider did not let you in, or you have no account here.',
      );
    }
    const { token, subject } = await renewByCookie(null);
    return await establish(token, 'cookie', subject);
  }
  const kept = sessionStorage.getItem(STORAGE_KEY);
  if (kept === null) return null;
  const { token, cookie, subject = null } = JSON.parse(kept) as StoredSignIn;
  try {
    return await establish(token, cookie ? 'cookie' : null, subject);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    sessionStorage.removeItem(STORAGE_KEY);
    if (error instanceof OtherPersonError) throw error;
    return null;
  }
}

/** How a token is followed by the next one: by the cookie of the browser, by signing in again, or not at all. */
type Renewal = 'cookie' | (() => Promise<string>) | null;

/** @param expected whose sign-in it is, where that is known */
async function establish(first: string, renewal: Renewal, expected: string | null): Promise<SignedIn> {
  let token = first;
  let renewing: Promise<string> | null = null;
  let subject = expected;
  let tellEnd = (_why: string) => {};
  const keep = () => {
    const kept: StoredSignIn = { token, cookie: renewal === 'cookie', subject };
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(kept));
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
      if (isRefusal(error)) tellEnd(messageOf(error));
      throw error;
    }
    keep();
    return token;
  };
  const client = new LadingClient({ server: SERVER, renew: current });
  const rights = await client.whoAmI();
  subject = rights.client_id;
  keep();
  return {
    client,
    subject,
    rights,
    atLeast: (role) => rights.whole && ROLES.indexOf(rights.role) >= ROLES.indexOf(role),
    token: current,
    onEnded: (listener) => {
      tellEnd = listener;
    },
    signOut: async () => {
      tellEnd = () => {};
      sessionStorage.removeItem(STORAGE_KEY);
      if (renewal === 'cookie') await endByCookie(rights.client_id, token).catch(() => {});
      // An API token is no session: it is revoked where it was made.
      else if (rights.kind !== 'token') await people.endSession(token).catch(() => {});
    },
  };
}

/** The cookies of the browser belong to somebody else than this tab. */
class OtherPersonError extends LadingError {
  constructor() {
    super(
      'unauthorized',
      'You were signed out here: someone else signed in with this browser. Sign in again to continue.',
    );
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof LadingError && error.code === 'unauthorized';
}

/**
 * A token by the cookie of the browser, which all of its tabs share. The cookie may have become that of another person since.
 * @param subject whose token it is to be; null: whoever signed in last
 * @throws LadingError `unauthorized`, NetworkError
 */
async function renewByCookie(subject: string | null): Promise<{ token: string; subject: string }> {
  const { access_token: token, user } = await withSignInLock(() => withRetries(() => people.renew()));
  if (subject !== null && user.id !== subject) throw new OtherPersonError();
  return { token, subject: user.id };
}

/** Ends the sign-in of this person, and leaves that of another one alone whose cookies the browser holds by now. */
async function endByCookie(subject: string, token: string): Promise<void> {
  await withSignInLock(async () => {
    const { user } = await people.renew();
    if (user.id === subject) await people.signOut();
    else await people.endSession(token);
  });
}

/** One tab at a time: each renewal makes the cookie of the one before worthless. Browsers have the lock where the page is a secure context. */
async function withSignInLock<T>(work: () => Promise<T>): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  return locks === undefined ? await work() : await locks.request('lading.sign-in', work);
}

/** Again after a failure of the network: the server gives the same successor for a token whose answer was lost. */
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
