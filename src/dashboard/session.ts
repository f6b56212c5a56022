/** Who is signed in on this page. Secrets stay in memory; only the token of the moment outlives a reload, in this tab alone. */
import { LadingClient } from '../client/client.ts';
import { PeopleDoor } from '../client/people.ts';
import { LadingError } from '../errors.ts';
import type { Verified } from '../protocol/oauth-schemas.ts';
import type { Role } from '../protocol/schemas.ts';

/** Where the server is: the folder of this page. */
export const SERVER = new URL('.', location.href).href;

const KEPT = 'lading.token';

const people = new PeopleDoor(SERVER);

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
    const { access_token: token } = await people.signIn(how.email, how.password);
    return establish(token, renewByCookie);
  }
  if (how.kind === 'token') return establish(how.token.trim(), null);
  const credentials = { server: SERVER, clientId: how.id.trim(), clientSecret: how.secret };
  const fresh = async () => new LadingClient(credentials).token();
  return establish(await fresh(), fresh);
}

/** In the query of the page that an outside provider leads back to. */
const FROM_OUTSIDE = 'from-outside';

/** Providers that people may sign in through; none when the server cannot be asked. */
export async function outsideProviders(): Promise<{ name: string; href: string }[]> {
  const providers = await people.providers().catch(() => []);
  const back = `${location.pathname}?${FROM_OUTSIDE}`;
  return providers.map(({ name, login_url: url }) => {
    const href = new URL(url, SERVER);
    href.searchParams.set('return_to', back);
    return { name, href: href.href };
  });
}

/** The sign-in that this tab had before a reload, or the one that the browser's cookie can renew; null when there is none. */
export async function resume(): Promise<SignedIn | null> {
  if (new URLSearchParams(location.search).has(FROM_OUTSIDE)) {
    history.replaceState(null, '', location.pathname + location.hash);
    return await establish(await renewByCookie(), renewByCookie);
  }
  const kept = sessionStorage.getItem(KEPT);
  if (kept !== null) {
    const { token, cookie } = JSON.parse(kept) as { token: string; cookie: boolean };
    try {
      return await establish(token, cookie ? renewByCookie : null);
    } catch (error) {
      if (!(error instanceof LadingError) || error.code !== 'unauthorized') throw error;
      sessionStorage.removeItem(KEPT);
      if (!cookie) return null;
      return renewByCookie().then(
        (fresh) => establish(fresh, renewByCookie),
        () => null,
      );
    }
  }
  return null;
}

async function establish(first: string, renew: (() => Promise<string>) | null): Promise<SignedIn> {
  let token = first;
  let renewing: Promise<string> | null = null;
  const keep = () => sessionStorage.setItem(KEPT, JSON.stringify({ token, cookie: renew === renewByCookie }));
  const current = async (refused: string | null): Promise<string> => {
    if (refused !== token) return token;
    if (renew === null) throw new LadingError('unauthorized', 'The sign-in has ended; sign in again.');
    renewing ??= renew().finally(() => {
      renewing = null;
    });
    token = await renewing;
    keep();
    return token;
  };
  const client = new LadingClient({ server: SERVER, renew: current });
  const rights = await client.whoAmI();
  keep();
  const signOut = async () => {
    sessionStorage.removeItem(KEPT);
    if (renew === renewByCookie) await people.signOut().catch(() => {});
  };
  const atLeast = (role: Role) => rights.whole && ROLES.indexOf(rights.role) >= ROLES.indexOf(role);
  return { client, subject: rights.client_id, rights, atLeast, token: current, signOut };
}

async function renewByCookie(): Promise<string> {
  return (await people.renew()).access_token;
}
