/** /v1/auth/{oidc,yandex}: people sign in with an account at a provider. */
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import { CATALOGUE, LadingError } from '../../errors.ts';
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
import { unparsedBodies } from '../body/unparsed.ts';
import { auditRefusal } from '../observe/audit.ts';
import type { Site } from '../proxy/site.ts';
import { asksForJson, prefersHtml } from '../request/accept.ts';
import { ACCESS_COOKIE, cookieOf } from '../request/cookies.ts';
import { varyBy } from '../request/cors.ts';
import { refuseForeign, requireSameOrigin } from '../request/csrf.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { PLAIN_PAGE_FIELDS, plainPage } from '../send/plain-page.ts';

/** What these routes need from the server. */
export interface FederationDeps {
  config: Pick<Config, 'registration'>;
  identity: Identity;
  audit: Audit;
  /** The configured sign-in providers. */
  federation: readonly FederatedProvider[];
  clock: Clock;
  tokens: Tokens;
}

const tags = ['People'];
const PROVIDERS = ['oidc', 'yandex'] as const;
const BEGUN_REPLY = ['Cache-Control', 'Set-Cookie'] as const;
type ProviderName = (typeof PROVIDERS)[number];

/** Query parameter with the reason of a failed sign-in. */
const REASON = 'sign_in_error';
/** Maximum length of `return_to`, percent-encoded. Browsers keep 4 KiB per cookie. */
const MAX_RETURN = 1000;

/** The person cancelled the sign-in at the provider. */
class CancelledError extends LadingError {}

interface Deps extends FederationDeps {
  pendingLogins: PendingLogins;
  accountLocks: AccountLocks;
}

/** Registers the routes of sign-in providers. */
export function federationRoutes(app: FastifyInstance, deps: FederationDeps): void {
  const all: Deps = { ...deps, pendingLogins: new PendingLogins(deps.clock), accountLocks: new AccountLocks() };
  app.register(async (scope) => {
    await scope.register(fastifyCookie, { hook: false });
    // Bodies are ignored.
    unparsedBodies(scope);
    listRoute(scope, all);
    for (const name of PROVIDERS) {
      loginRoute(scope, all, name, 'GET');
      loginRoute(scope, all, name, 'POST');
      callbackRoute(scope, all, name);
    }
  });
}

function listRoute(app: FastifyInstance, { federation }: Deps): void {
  app.get('/v1/auth/providers', {
    schema: {
      tags,
      summary: 'Lists the sign-in providers.',
      security: [],
      response: { 200: FederatedProvidersSchema },
      documented: {},
    },
    handler: async ({ site }): Promise<FederatedProviders> => ({
      providers: federation.map(({ name }) => ({ name, login_url: site.path(`/v1/auth/${name}/login`) })),
    }),
  });
}

function loginRoute(app: FastifyInstance, deps: Deps, name: ProviderName, method: 'GET' | 'POST'): void {
  app.route<{ Querystring: FederatedSignInQuery }>({
    method,
    url: `/v1/auth/${name}/login`,
    exposeHeadRoute: false,
    schema: {
      tags,
      summary:
        method === 'GET'
          ? 'Begins a sign-in: redirects the browser to the provider, which redirects it to the callback.'
          : 'Begins a sign-in: redirects the browser to the provider or, with Accept: application/json, returns the URL of the provider.',
      security: [],
      querystring: FederatedSignInQuery,
      response:
        method === 'GET'
          ? { 302: { description: 'To the provider', type: 'null' } }
          : { 200: FederatedSignInBegunSchema, 303: { description: 'To the provider', type: 'null' } },
      documented: {
        replies: { 200: BEGUN_REPLY, 302: BEGUN_REPLY, 303: BEGUN_REPLY },
        errors: [...SIGNED_IN, 'forbidden', 'not_found'],
        storesNothing: true,
      },
    },
    handler: async (request, reply) => {
      const url = await begin(deps, request, reply, name);
      if (method === 'GET') return reply.redirect(url, 302);
      varyBy(reply, 'Accept');
      if (!asksForJson(request.headers.accept)) return reply.redirect(url, 303);
      return { authorization_url: url } satisfies FederatedSignInBegun;
    },
  });
}

async function begin(
  deps: Deps,
  request: FastifyRequest<{ Querystring: FederatedSignInQuery }>,
  reply: FastifyReply,
  name: ProviderName,
): Promise<string> {
  const { pendingLogins } = deps;
  const provider = providerOf(deps, name);
  const { return_to: returnTo = null, link = false } = request.query;
  if (request.method !== 'GET') refuseForeign(request);
  const linkTo = link ? signedInPerson(deps, request) : null;
  const handshake = newHandshake();
  const redirectUri = request.site.url(`/v1/auth/${name}/callback`);
  const url = await provider.begin(redirectUri, handshake);
  const sealed = pendingLogins.seal({
    provider: name,
    handshake,
    redirectUri,
    tenant: DEFAULT_TENANT,
    returnTo: returnTo === null ? null : localPath(returnTo, request.site),
    linkTo,
  });
  reply.header('cache-control', 'no-store');
  keepPendingLogin(pendingLogins, request, reply, { state: handshake.state, sealed });
  return url.href;
}

function callbackRoute(app: FastifyInstance, deps: Deps, name: ProviderName): void {
  app.get(`/v1/auth/${name}/callback`, {
    exposeHeadRoute: false,
    schema: {
      tags,
      summary: 'Completes a sign-in after the provider redirected the browser here.',
      description:
        'Sets the cookies, and returns the tokens or redirects to the path in return_to. A failed sign-in redirects there, too, with ' +
        'sign_in_error in the query: cancelled, or the code of the error. A sign-in expires after ten minutes; a browser ' +
        '(Accept: text/html) that returns later gets a page with a link to sign in again.',
      security: [],
      querystring: ForeignQuery,
      response: { 200: SignedIn, 302: { description: 'To return_to', type: 'null' } },
      documented: {
        replies: { 200: ['Cache-Control', 'Set-Cookie'], 302: ['Cache-Control', 'Set-Cookie'] },
        errors: [...SIGNED_IN, 'forbidden', 'not_found', 'already_exists', 'insufficient_storage'],
        pageStatus: CATALOGUE.invalid_request.status,
      },
    },
    config: { audit: 'sign_in' },
    handler: async (request, reply) => {
      const provider = providerOf(deps, name);
      const login = pendingLogin(deps, request, reply, name);
      if (login === null) {
        varyBy(reply, 'Accept');
        if (prefersHtml(request.headers.accept)) return expiredPage(request, reply);
        throw new LadingError('invalid_request', EXPIRED);
      }
      const { returnTo } = login;
      try {
        const signedIn = await finish(deps, request, reply, provider, login);
        return returnTo === null ? signedIn : reply.redirect(returnTo, 302);
      } catch (error) {
        if (returnTo === null || !(error instanceof LadingError)) throw error;
        auditRefusal(deps.audit, request, error);
        request.audited = null;
        return reply.header('cache-control', 'no-store').redirect(withReason(returnTo, error), 302);
      }
    },
  });
}

/** The pending login that the browser returns from; null if the browser has none. Removes its cookie and no other. */
function pendingLogin(
  { pendingLogins }: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  name: ProviderName,
): PendingLogin | null {
  const state = callbackQuery(request).get('state') ?? '';
  const login = takePendingLogin(pendingLogins, request, reply, state);
  return login?.provider === name && login.handshake.state === state ? login : null;
}

const EXPIRED = 'This sign-in took too long, or it did not start in this browser. Sign in again.';

/** The cookie has expired together with the path to return to, so the page leads to the dashboard, where people sign in. */
function expiredPage(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  request.refusalCode = 'invalid_request';
  request.audited = null;
  const root = request.site.path('/');
  const body = `<p role="alert" class="bad">${EXPIRED}</p><p><a class="button" href="${root}">Back to the sign-in page</a></p>`;
  reply.code(CATALOGUE.invalid_request.status).headers(PLAIN_PAGE_FIELDS);
  return reply.send(plainPage(root, 'Not signed in', body));
}

/** @throws LadingError `forbidden`, `already_exists`, `overloaded` */
async function finish(
  deps: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  provider: FederatedProvider,
  login: PendingLogin,
): Promise<SignedIn> {
  if (callbackQuery(request).get('error') === 'access_denied') {
    throw new CancelledError('forbidden', 'The sign-in was cancelled at the provider.');
  }
  const callback = new URL(login.redirectUri);
  callback.search = callbackQuery(request).toString();
  const found = await provider.finish(callback, login.handshake);
  const person = await deps.accountLocks.run(found, () => personFor(deps, request, login, found));
  request.audited = { target: person.id, tenant: person.tenant };
  const principal = deps.identity.subject('person', person.id);
  if (principal) request.audited = { principal };
  return beginSession(deps, request, reply, person);
}

/** The query of the callback. The provider defines its parameters. */
function callbackQuery({ raw }: FastifyRequest): URLSearchParams {
  return new URLSearchParams(raw.url?.split('?')[1] ?? '');
}

/** The page to return to, with the reason in its query. */
function withReason(returnTo: string, error: LadingError): string {
  const url = new URL(returnTo, 'http://lading.invalid');
  url.searchParams.set(REASON, error instanceof CancelledError ? 'cancelled' : error.code);
  return `${url.pathname}${url.search}${url.hash}`;
}

function providerOf({ federation }: Deps, name: ProviderName): FederatedProvider {
  const found = federation.find((provider) => provider.name === name);
  if (!found) throw new LadingError('not_found', `This server has no sign-in provider ${name}.`);
  return found;
}

/**
 * Linking changes an account, so the request must come from a page of this server and not from a link.
 * @throws LadingError `invalid_request`, `forbidden`, `unauthorized`
 */
function signedInPerson({ tokens }: Deps, request: FastifyRequest): string {
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
  const base = 'http://lading.invalid';
  const url = path.startsWith('/') && URL.canParse(path, base) ? new URL(path, base) : null;
  // Browsers read a leading double slash as another host.
  const local = url?.origin === base && !url.pathname.startsWith('//') ? `${url.pathname}${url.search}${url.hash}` : '';
  if (local !== '' && local.length <= MAX_RETURN) return local.startsWith(`${prefix}/`) ? local : `${prefix}${local}`;
  throw new LadingError(
    'invalid_request',
    `return_to must be a path of this server, like /docs, with at most ${MAX_RETURN} characters.`,
  );
}
