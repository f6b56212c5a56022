/** /v1/auth/{oidc,yandex}: people sign in with an account of a provider. */
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import type { Audit } from '../../identity/audit.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { type PendingLogin, PendingLogins } from '../../identity/federation/pending-logins.ts';
import { type FederatedProvider, newHandshake } from '../../identity/federation/providers.ts';
import { DEFAULT_TENANT } from '../../identity/rights/policy.ts';
import {
  type FederatedProviders,
  FederatedProviders as FederatedProvidersSchema,
  type FederatedSignInBegun,
  FederatedSignInBegun as FederatedSignInBegunSchema,
  FederatedSignInQuery,
} from '../../protocol/schemas/identity/federation.ts';
import { SignedIn } from '../../protocol/schemas/identity/people.ts';
import { ForeignQuery } from '../../protocol/schemas/parts.ts';
import type { Config } from '../../settings/config.ts';
import { AccountLocks, personFor } from '../access/federated-people.ts';
import { keepPendingLogin, takePendingLogin } from '../access/pending-login-cookies.ts';
import { beginSession } from '../access/sign-in.ts';
import { auditRefusal } from '../observe/audit.ts';
import type { Site } from '../proxy/site.ts';
import { asksForJson } from '../request/accept.ts';
import { ACCESS_COOKIE, cookieOf } from '../request/cookies.ts';
import { varyBy } from '../request/cors.ts';
import { refuseForeign, requireSameOrigin } from '../request/csrf.ts';
import { SIGNED_IN } from '../request/documented.ts';

/** What these routes need from the server. */
export interface FederationDeps {
  config: Pick<Config, 'registration'>;
  identity: Identity;
  audit: Audit;
  /** Outside providers through which people may sign in. */
  federation: readonly FederatedProvider[];
  clock: Clock;
  tokens: Tokens;
}

const tags = ['People'];
const NAMES = ['oidc', 'yandex'] as const;
const BEGUN = ['Cache-Control', 'Set-Cookie'] as const;
type Name = (typeof NAMES)[number];

/** Query parameter with the reason when a browser returns without a sign-in. */
const REASON = 'sign_in_error';
/** Longest `return_to`, percent-encoded: browsers keep 4 KiB per cookie. */
const MAX_RETURN = 1000;

/** The person cancelled the sign-in at the provider. */
class CancelledError extends LadingError {}

interface Doors extends FederationDeps {
  departures: PendingLogins;
  arriving: AccountLocks;
}

export function federationRoutes(app: FastifyInstance, deps: FederationDeps): void {
  const doors: Doors = { ...deps, departures: new PendingLogins(deps.clock), arriving: new AccountLocks() };
  app.register(async (scope) => {
    await scope.register(fastifyCookie, { hook: false });
    // Bodies are ignored.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    listRoute(scope, doors);
    for (const name of NAMES) {
      loginRoute(scope, doors, name, 'GET');
      loginRoute(scope, doors, name, 'POST');
      callbackRoute(scope, doors, name);
    }
  });
}

function listRoute(app: FastifyInstance, { federation }: Doors): void {
  app.get('/v1/auth/providers', {
    schema: {
      tags,
      summary: 'Lists the providers that people may sign in with.',
      security: [],
      response: { 200: FederatedProvidersSchema },
      documented: {},
    },
    handler: async ({ site }): Promise<FederatedProviders> => ({
      providers: federation.map(({ name }) => ({ name, login_url: site.path(`/v1/auth/${name}/login`) })),
    }),
  });
}

function loginRoute(app: FastifyInstance, doors: Doors, name: Name, method: 'GET' | 'POST'): void {
  app.route<{ Querystring: FederatedSignInQuery }>({
    method,
    url: `/v1/auth/${name}/login`,
    exposeHeadRoute: false,
    schema: {
      tags,
      summary:
        method === 'GET'
          ? 'Redirects the browser to the provider, which redirects it to the callback.'
          : 'Redirects the browser to the provider; with Accept: application/json returns the URL, for pages that navigate themselves.',
      security: [],
      querystring: FederatedSignInQuery,
      response:
        method === 'GET'
          ? { 302: { description: 'To the provider', type: 'null' } }
          : { 200: FederatedSignInBegunSchema, 303: { description: 'To the provider', type: 'null' } },
      documented: {
        replies: { 200: BEGUN, 302: BEGUN, 303: BEGUN },
        errors: [...SIGNED_IN, 'forbidden', 'not_found'],
        storesNothing: true,
      },
    },
    handler: async (request, reply) => {
      const url = await begin(doors, request, reply, name);
      if (method === 'GET') return reply.redirect(url, 302);
      varyBy(reply, 'Accept');
      if (!asksForJson(request.headers.accept)) return reply.redirect(url, 303);
      return { authorization_url: url } satisfies FederatedSignInBegun;
    },
  });
}

async function begin(
  doors: Doors,
  request: FastifyRequest<{ Querystring: FederatedSignInQuery }>,
  reply: FastifyReply,
  name: Name,
): Promise<string> {
  const { departures } = doors;
  const provider = providerOf(doors, name);
  const { return_to: returnTo = null, link = false } = request.query;
  if (request.method !== 'GET') refuseForeign(request);
  const linkTo = link ? signedInPerson(doors, request) : null;
  const handshake = newHandshake();
  const redirectUri = request.site.url(`/v1/auth/${name}/callback`);
  const url = await provider.begin(redirectUri, handshake);
  const sealed = departures.seal({
    provider: name,
    handshake,
    redirectUri,
    tenant: DEFAULT_TENANT,
    returnTo: returnTo === null ? null : localPath(returnTo, request.site),
    linkTo,
  });
  reply.header('cache-control', 'no-store');
  keepPendingLogin(departures, request, reply, { state: handshake.state, sealed });
  return url.href;
}

function callbackRoute(app: FastifyInstance, doors: Doors, name: Name): void {
  app.get(`/v1/auth/${name}/callback`, {
    exposeHeadRoute: false,
    schema: {
      tags,
      summary: 'Callback of the provider: signs the person in.',
      description:
        'Returns the tokens, or redirects to the path in return_to; both set the cookies. After a failed sign-in it ' +
        'redirects there too, with sign_in_error in the query: cancelled, or the code of the error.',
      security: [],
      querystring: ForeignQuery,
      response: { 200: SignedIn, 302: { description: 'To return_to', type: 'null' } },
      documented: {
        replies: { 200: ['Cache-Control', 'Set-Cookie'], 302: ['Cache-Control', 'Set-Cookie'] },
        errors: [...SIGNED_IN, 'forbidden', 'not_found', 'already_exists', 'insufficient_storage'],
      },
    },
    config: { audit: 'sign_in' },
    handler: async (request, reply) => {
      const provider = providerOf(doors, name);
      const departure = arrived(doors, request, reply, name);
      const { returnTo } = departure;
      try {
        const signedIn = await finish(doors, request, reply, provider, departure);
        return returnTo === null ? signedIn : reply.redirect(returnTo, 302);
      } catch (error) {
        if (returnTo === null || !(error instanceof LadingError)) throw error;
        auditRefusal(doors.audit, request, error);
        request.audited = null;
        return reply.header('cache-control', 'no-store').redirect(withReason(returnTo, error), 302);
      }
    },
  });
}

/**
 * The pending login that the browser returns from. Removes its cookie and no other.
 * @throws LadingError `invalid_request`
 */
function arrived({ departures }: Doors, request: FastifyRequest, reply: FastifyReply, name: Name): PendingLogin {
  const state = saidOf(request).get('state') ?? '';
  const departure = takePendingLogin(departures, request, reply, state);
  if (departure?.provider === name && departure.handshake.state === state) return departure;
  throw new LadingError(
    'invalid_request',
    'This sign-in did not start in this browser, or it started too long ago. Start again.',
  );
}

/** @throws LadingError `forbidden`, `already_exists`, `overloaded` */
async function finish(
  doors: Doors,
  request: FastifyRequest,
  reply: FastifyReply,
  provider: FederatedProvider,
  departure: PendingLogin,
): Promise<SignedIn> {
  if (saidOf(request).get('error') === 'access_denied') {
    throw new CancelledError('forbidden', 'The sign-in was cancelled at the provider.');
  }
  const callback = new URL(departure.redirectUri);
  callback.search = saidOf(request).toString();
  const found = await provider.finish(callback, departure.handshake);
  const person = await doors.arriving.run(found, () => personFor(doors, request, departure, found));
  request.audited = { target: person.id, tenant: person.tenant };
  const principal = doors.identity.subject('person', person.id);
  if (principal) request.audited = { principal };
  return beginSession(doors, request, reply, person);
}

/** Query of the callback, which the provider defines. */
function saidOf({ raw }: FastifyRequest): URLSearchParams {
  return new URLSearchParams(raw.url?.split('?')[1] ?? '');
}

/** The page to return to, with the reason in its query. */
function withReason(returnTo: string, error: LadingError): string {
  const url = new URL(returnTo, 'http://here.invalid');
  url.searchParams.set(REASON, error instanceof CancelledError ? 'cancelled' : error.code);
  return `${url.pathname}${url.search}${url.hash}`;
}

function providerOf({ federation }: Doors, name: Name): FederatedProvider {
  const found = federation.find((provider) => provider.name === name);
  if (!found) throw new LadingError('not_found', `This server has no sign-in provider ${name}.`);
  return found;
}

/**
 * Linking changes an account, so the request must come from a page of this server and not from a link.
 * @throws LadingError `invalid_request`, `forbidden`, `unauthorized`
 */
function signedInPerson({ tokens }: Doors, request: FastifyRequest): string {
  if (request.method === 'GET') throw new LadingError('invalid_request', 'Send link=true with POST.');
  requireSameOrigin(request);
  const token = cookieOf(request.headers.cookie, ACCESS_COOKIE);
  const principal = token === null ? null : tokens.verify(token);
  if (principal?.kind !== 'person') throw new LadingError('unauthorized', 'Sign in first to link an account.');
  return principal.id;
}

/**
 * Returns a path of this server, with or without the path of the proxy. Refuses a value that could lead elsewhere.
 * @throws LadingError `invalid_request`
 */
function localPath(path: string, { prefix }: Site): string {
  const base = 'http://here.invalid';
  const url = path.startsWith('/') && URL.canParse(path, base) ? new URL(path, base) : null;
  // Browsers read a leading double slash as another host.
  const local = url?.origin === base && !url.pathname.startsWith('//') ? `${url.pathname}${url.search}${url.hash}` : '';
  if (local !== '' && local.length <= MAX_RETURN) return local.startsWith(`${prefix}/`) ? local : `${prefix}${local}`;
  throw new LadingError(
    'invalid_request',
    `return_to must be a path of this server, like /docs, with at most ${MAX_RETURN} characters.`,
  );
}
