/**
 * Sign-in through outside providers: any OpenID provider, and Yandex, which is OAuth 2.0 with a profile to ask for. Both by the
 * authorization code flow with PKCE and `state` (RFC 9700 §2.1.1); the protocol is the library's business.
 *
 *     begin → the person's browser at the provider → finish: code for tokens → who they are there
 */
import * as oauth from 'openid-client';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { FederatedAccount } from '../../records/subjects.ts';
import { ProviderClock } from './provider-clock.ts';

/** What only this side knows of a sign-in that has begun. */
export interface Handshake {
  state: string;
  verifier: string;
  nonce: string;
}

/** Who somebody is at a provider. */
export interface FederatedPerson {
  account: FederatedAccount;
  /** Null when the provider does not say, or has not verified it. */
  email: string | null;
  name: string;
  surname: string;
}

export interface FederatedProvider {
  readonly name: 'oidc' | 'yandex';
  /**
   * Where to send the browser.
   * @throws LadingError `overloaded` when the provider cannot be reached
   */
  begin(redirectUri: string, handshake: Handshake): Promise<URL>;
  /**
   * @param callback the address that the provider sent the browser to, with its query
   * @throws LadingError `forbidden` when the sign-in was not granted, `overloaded`
   */
  finish(callback: URL, handshake: Handshake): Promise<FederatedPerson>;
}

export interface FederationClient {
  clientId: string;
  clientSecret: string;
  /** Reaches what the settings name, and of what the provider names only what is of the public internet. */
  fetch: typeof fetch;
  clock: Clock;
}

const TIMEOUT_SECONDS = 10;
/** A provider on the machine itself may speak plain HTTP; any other must not. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export function newHandshake(): Handshake {
  return { state: oauth.randomState(), verifier: oauth.randomPKCECodeVerifier(), nonce: oauth.randomNonce() };
}

function isLoopback(url: string): boolean {
  return LOOPBACK.test(new URL(url).hostname);
}

/** An OpenID provider found by its issuer (OpenID Connect Discovery 1.0). It is asked when somebody first wants to sign in. */
export function openIdProvider(
  issuer: string,
  { clientId, clientSecret, fetch, clock }: FederationClient,
): FederatedProvider {
  const there = new ProviderClock(clock);
  // The library goes by the date of this machine, so it is to believe every date.
  const metadata = { client_secret: clientSecret, [oauth.clockTolerance]: Number.MAX_SAFE_INTEGER };
  let found: Promise<oauth.Configuration> | null = null;
  const discover = (): Promise<oauth.Configuration> => {
    const execute = isLoopback(issuer) ? [oauth.allowInsecureRequests] : [];
    found ??= oauth
      .discovery(new URL(issuer), clientId, metadata, undefined, {
        execute,
        timeout: TIMEOUT_SECONDS,
        [oauth.customFetch]: there.listening(fetch) as oauth.CustomFetch,
      })
      .catch((error: unknown) => {
        // The next sign-in asks again.
        found = null;
        throw unreachable(error);
      });
    return found;
  };
  return {
    name: 'oidc',
    begin: async (redirectUri, handshake) =>
      oauth.buildAuthorizationUrl(await discover(), {
        ...(await parameters(redirectUri, handshake)),
        scope: 'openid email profile',
        nonce: handshake.nonce,
      }),
    finish: async (callback, { state, verifier, nonce }) => {
      const config = await discover();
      try {
        const tokens = await oauth.authorizationCodeGrant(config, callback, {
          pkceCodeVerifier: verifier,
          expectedState: state,
          expectedNonce: nonce,
          idTokenExpected: true,
        });
        const claims = tokens.claims();
        if (!claims) throw new Error('no ID token');
        if (!there.isWithin(claims)) throw new Error('the ID token has expired or is not valid yet');
        const asked = config.serverMetadata().userinfo_endpoint !== undefined;
        const more: Partial<oauth.UserInfoResponse> = asked
          ? await oauth.fetchUserInfo(config, tokens.access_token, claims.sub)
          : {};
        // Together or not at all: what one of the two says of an address is not said of the other's.
        const address = claims.email === undefined ? more : claims;
        const { email, email_verified } = address;
        return personOf(claims.iss, claims.sub, { ...claims, ...more, email, email_verified });
      } catch (error) {
        throw refusal(error);
      }
    },
  };
}

/** Where Yandex is; tests have one of their own. */
export interface YandexUrls {
  /** `https://oauth.yandex.ru` */
  oauthUrl: string;
  /** `https://login.yandex.ru` */
  loginUrl: string;
}

export function yandexProvider({ oauthUrl, loginUrl }: YandexUrls, client: FederationClient): FederatedProvider {
  const metadata: oauth.ServerMetadata = {
    issuer: oauthUrl,
    authorization_endpoint: `${oauthUrl}/authorize`,
    token_endpoint: `${oauthUrl}/token`,
  };
  const config = new oauth.Configuration(metadata, client.clientId, client.clientSecret);
  config.timeout = TIMEOUT_SECONDS;
  config[oauth.customFetch] = client.fetch as oauth.CustomFetch;
  if (isLoopback(oauthUrl)) oauth.allowInsecureRequests(config);
  return {
    name: 'yandex',
    begin: async (redirectUri, handshake) =>
      oauth.buildAuthorizationUrl(config, await parameters(redirectUri, handshake)),
    finish: async (callback, { state, verifier }) => {
      try {
        const tokens = await oauth.authorizationCodeGrant(config, callback, {
          pkceCodeVerifier: verifier,
          expectedState: state,
        });
        const profile = await yandexProfile(client.fetch, loginUrl, tokens.access_token);
        const { id, default_email: email, first_name: name, last_name: surname } = profile;
        if (typeof id !== 'string' || id === '') throw new Error('a profile without an id');
        // Yandex tells only addresses that it has verified.
        return personOf('yandex', id, { email, email_verified: true, given_name: name, family_name: surname });
      } catch (error) {
        throw refusal(error);
      }
    },
  };
}

async function yandexProfile(
  fetch: FederationClient['fetch'],
  loginUrl: string,
  accessToken: string,
): Promise<Record<string, unknown>> {
  const reply = await fetch(`${loginUrl}/info?format=json`, {
    headers: { authorization: `OAuth ${accessToken}` },
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000),
  });
  if (!reply.ok) throw new Error(`the profile was answered with ${reply.status}`);
  const profile: unknown = await reply.json();
  return typeof profile === 'object' && profile !== null ? { ...profile } : {};
}

async function parameters(redirectUri: string, { state, verifier }: Handshake): Promise<Record<string, string>> {
  return {
    redirect_uri: redirectUri,
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** @param claims standard claims of OpenID Connect Core 1.0 §5.1, whatever the provider made of them */
function personOf(issuer: string, subject: string, claims: Record<string, unknown>): FederatedPerson {
  const email = text(claims.email);
  const verified = claims.email_verified === true || claims.email_verified === 'true';
  const [first = '', ...rest] = text(claims.name).split(' ');
  return {
    account: { issuer, subject },
    email: email !== '' && verified ? email : null,
    name: text(claims.given_name) || first,
    surname: text(claims.family_name) || rest.join(' '),
  };
}

/** What went wrong stands in `cause`: it may name codes and tokens, which are nobody's business. */
function refusal(error: unknown): LadingError {
  if (error instanceof LadingError) return error;
  const { code } = error instanceof Error ? (error as Error & { code?: unknown }) : {};
  if (
    error instanceof TypeError ||
    code === 'OAUTH_TIMEOUT' ||
    (error instanceof Error && error.name === 'TimeoutError')
  ) {
    return unreachable(error);
  }
  return new LadingError(
    'forbidden',
    'The provider did not confirm this sign-in. Begin again, and allow it there.',
    {},
    { cause: error },
  );
}

function unreachable(cause: unknown): LadingError {
  return new LadingError(
    'overloaded',
    'The sign-in provider cannot be reached now. Try again in a moment, or sign in with a password.',
    { retry_after: 10 },
    { cause },
  );
}
