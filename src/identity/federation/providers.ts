/**
 * Sign-in providers: any OpenID provider, and Yandex (OAuth 2.0 with a profile request). Both use the authorization code flow with PKCE and
 * `state` (RFC 9700 §2.1.1), which the library implements.
 *
 *     begin → the browser at the provider → finish: exchange the code for tokens → the person's account there
 */
import * as oauth from 'openid-client';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { FederatedAccount } from '../../records/subjects.ts';
import { ProviderClock } from './provider-clock.ts';

/** Secret values of a pending login. */
export interface Handshake {
  state: string;
  verifier: string;
  nonce: string;
}

/** A person's account at a provider. */
export interface FederatedPerson {
  account: FederatedAccount;
  /** Null if the provider does not send it, or has not verified it. */
  email: string | null;
  name: string;
  surname: string;
}

/** A sign-in provider. */
export interface FederatedProvider {
  readonly name: 'oidc' | 'yandex';
  /**
   * The URL to send the browser to.
   * @throws LadingError `overloaded` when the provider cannot be reached
   */
  begin(redirectUri: string, handshake: Handshake): Promise<URL>;
  /**
   * Completes a sign-in.
   * @param callback the URL to which the provider redirected the browser, with its query
   * @throws LadingError `forbidden` when the sign-in was not granted, `overloaded`
   */
  finish(callback: URL, handshake: Handshake): Promise<FederatedPerson>;
}

/** The registration of this server at a provider, and how to reach the provider. */
export interface FederationClient {
  clientId: string;
  clientSecret: string;
  /** Reaches hosts in the settings. Hosts that only the provider names must be on the public internet. */
  fetch: typeof fetch;
  clock: Clock;
}

const TIMEOUT_SECONDS = 10;
/** Only a provider on this machine may use plain HTTP. */
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Generates the secret values of a sign-in. */
export function newHandshake(): Handshake {
  return { state: oauth.randomState(), verifier: oauth.randomPKCECodeVerifier(), nonce: oauth.randomNonce() };
}

function isLoopback(url: string): boolean {
  return LOOPBACK.test(new URL(url).hostname);
}

/** An OpenID provider, discovered by its issuer (OpenID Connect Discovery 1.0) at the first sign-in. */
export function openIdProvider(
  issuer: string,
  { clientId, clientSecret, fetch, clock }: FederationClient,
): FederatedProvider {
  const providerClock = new ProviderClock(clock);
  // The library uses the clock of this machine, so let it accept every date. `ProviderClock` checks the dates.
  const metadata = { client_secret: clientSecret, [oauth.clockTolerance]: Number.MAX_SAFE_INTEGER };
  let discovered: Promise<oauth.Configuration> | null = null;
  const discover = (): Promise<oauth.Configuration> => {
    const execute = isLoopback(issuer) ? [oauth.allowInsecureRequests] : [];
    discovered ??= oauth
      .discovery(new URL(issuer), clientId, metadata, undefined, {
        execute,
        timeout: TIMEOUT_SECONDS,
        [oauth.customFetch]: providerClock.wrap(fetch) as oauth.CustomFetch,
      })
      .catch((error: unknown) => {
        // The next sign-in tries again.
        discovered = null;
        throw unreachable(error);
      });
    return discovered;
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
        if (!claims) throw new Error('the provider sent no ID token');
        if (!providerClock.isWithin(claims)) throw new Error('the ID token has expired or is not valid yet');
        const hasUserInfo = config.serverMetadata().userinfo_endpoint !== undefined;
        const userInfo: Partial<oauth.UserInfoResponse> = hasUserInfo
          ? await oauth.fetchUserInfo(config, tokens.access_token, claims.sub)
          : {};
        // Take the address and its verification from the same source: one source does not verify the address of the other.
        const { email, email_verified } = claims.email === undefined ? userInfo : claims;
        return personOf(claims.iss, claims.sub, { ...claims, ...userInfo, email, email_verified });
      } catch (error) {
        throw asLadingError(error);
      }
    },
  };
}

/** URLs of Yandex; tests use their own. */
export interface YandexUrls {
  /** `https://oauth.yandex.ru` */
  oauthUrl: string;
  /** `https://login.yandex.ru` */
  loginUrl: string;
}

/** Yandex, with its OAuth 2.0 server and the profile of the account. */
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
        if (typeof id !== 'string' || id === '') throw new Error('the profile has no id');
        // Yandex provides only verified addresses.
        return personOf('yandex', id, { email, email_verified: true, given_name: name, family_name: surname });
      } catch (error) {
        throw asLadingError(error);
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
  if (!reply.ok) throw new Error(`the profile request failed with status ${reply.status}`);
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

/** @param claims standard claims of OpenID Connect Core 1.0 §5.1; the provider may have sent anything */
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

/** The error for a failed sign-in. The details are only in `cause`, because they may contain codes and tokens. */
function asLadingError(error: unknown): LadingError {
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
    'The provider did not confirm this sign-in. Start again, and approve it at the provider.',
    {},
    { cause: error },
  );
}

function unreachable(cause: unknown): LadingError {
  return new LadingError(
    'overloaded',
    'The sign-in provider cannot be reached. Try again in a moment, or sign in with a password.',
    { retry_after: 10 },
    { cause },
  );
}
