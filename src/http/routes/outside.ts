/** /v1/auth/{oidc,yandex}: people sign in with an account that they have elsewhere. */
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { OutsideAccount, PersonDocument } from '../../contracts.ts';
import { LadingError } from '../../errors.ts';
import { DEPARTURE_SECONDS, type Departure, Departures } from '../../identity/departures.ts';
import { newHandshake, type OutsidePerson, type OutsideProvider } from '../../identity/outside.ts';
import { checkEmail, checkPersonalName } from '../../identity/personal.ts';
import { DEFAULT_TENANT } from '../../identity/policy.ts';
import {
  type OutsideBegun,
  OutsideBegun as OutsideBegunSchema,
  type OutsideProviders,
  OutsideProviders as OutsideProvidersSchema,
  OutsideQuery,
} from '../../protocol/outside-schemas.ts';
import { SignedIn } from '../../protocol/people-schemas.ts';
import { ForeignQuery } from '../../protocol/schema-parts.ts';
import { ACCESS_COOKIE, cookieOf } from '../cookies.ts';
import { refuseForeign, requireSameOrigin, wantsSecureCookies } from '../csrf.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN } from '../documented.ts';
import { beginSession } from '../sessions.ts';
import type { Site } from '../site.ts';

const tags = ['People'];
const NAMES = ['oidc', 'yandex'] as const;
type Name = (typeof NAMES)[number];

/** What the browser that began a sign-in knows of it; `lax`, for the provider's page sends the browser back here. */
const COOKIE = 'outside_sign_in';
const COOKIE_PATH = '/v1/auth';
/** Percent-encoded; browsers keep 4 KiB a cookie. */
const MOST_RETURN = 1000;

interface Doors extends RouteDeps {
  departures: Departures;
}

export function outsideRoutes(app: FastifyInstance, deps: RouteDeps): void {
  const doors: Doors = { ...deps, departures: new Departures(deps.clock) };
  app.register(async (scope) => {
    await scope.register(fastifyCookie, { hook: false });
    // The method decides: a body means nothing here.
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

function listRoute(app: FastifyInstance, { outside }: Doors): void {
  app.get('/v1/auth/providers', {
    schema: {
      tags,
      summary: 'Outside providers that people may sign in with here.',
      security: [],
      response: { 200: OutsideProvidersSchema },
      documented: {},
    },
    handler: async ({ site }): Promise<OutsideProviders> => ({
      providers: outside.map(({ name }) => ({ name, login_url: site.path(`/v1/auth/${name}/login`) })),
    }),
  });
}

function loginRoute(app: FastifyInstance, doors: Doors, name: Name, method: 'GET' | 'POST'): void {
  app.route<{ Querystring: OutsideQuery }>({
    method,
    url: `/v1/auth/${name}/login`,
    exposeHeadRoute: false,
    schema: {
      tags,
      summary:
        method === 'GET'
          ? 'Sends the browser to the provider; it comes back to the callback.'
          : 'Where to send the browser, for pages that do it themselves.',
      security: [],
      querystring: OutsideQuery,
      response:
        method === 'GET' ? { 302: { description: 'To the provider', type: 'null' } } : { 200: OutsideBegunSchema },
      documented: {
        replies: { 200: ['Cache-Control', 'Set-Cookie'], 302: ['Cache-Control', 'Set-Cookie'] },
        errors: [...SIGNED_IN, 'forbidden', 'not_found'],
      },
    },
    handler: async (request, reply) => {
      const url = await begin(doors, request, reply, name);
      return method === 'GET' ? reply.redirect(url, 302) : ({ authorization_url: url } satisfies OutsideBegun);
    },
  });
}

async function begin(
  doors: Doors,
  request: FastifyRequest<{ Querystring: OutsideQuery }>,
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
  setCookie(request, reply, sealed, DEPARTURE_SECONDS);
  return url.href;
}

function callbackRoute(app: FastifyInstance, doors: Doors, name: Name): void {
  app.get<{ Querystring: Record<string, string> }>(`/v1/auth/${name}/callback`, {
    exposeHeadRoute: false,
    schema: {
      tags,
      summary: 'Where the provider sends the browser back to: signs the person in.',
      description:
        'Answers with the tokens, or leads to the path that was given as return_to; with cookies either way.',
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
      const sealed = fastifyCookie.parse(request.headers.cookie ?? '')[COOKIE];
      const departure = sealed === undefined ? null : doors.departures.open(sealed);
      setCookie(request, reply, '', 0);
      if (departure?.provider !== name) {
        throw new LadingError(
          'invalid_request',
          'This sign-in did not begin in this browser, or too long ago; begin again.',
        );
      }
      const callback = new URL(departure.redirectUri);
      callback.search = request.raw.url?.split('?')[1] ?? '';
      const found = await provider.finish(callback, departure.handshake);
      const person = await personFor(doors, request, departure, found);
      request.audited = { target: person.id, tenant: person.tenant };
      const principal = doors.identity.subject('person', person.id);
      if (principal) request.audited = { principal };
      const signedIn = await beginSession(doors, request, reply, person);
      return departure.returnTo === null ? signedIn : reply.redirect(departure.returnTo, 302);
    },
  });
}

/**
 * Whose account it is; made or added when it is nobody's yet.
 * @throws LadingError `forbidden`, `already_exists`
 */
async function personFor(
  doors: Doors,
  request: FastifyRequest,
  { tenant, linkTo }: Departure,
  who: OutsidePerson,
): Promise<PersonDocument> {
  const { people } = doors.identity;
  const known = people.byOutside(tenant, who.account);
  if (linkTo !== null) {
    if (known && known.id !== linkTo) {
      throw new LadingError('already_exists', 'This account at the provider belongs to another person here.');
    }
    return known ?? (await addAccount(doors, request, linkTo, who.account));
  }
  if (known) return known;
  const email = who.email === null ? null : checkEmail(who.email);
  const same = email === null ? null : people.byEmail(tenant, email);
  const closed = doors.config.registration === 'closed';
  if (same) {
    // Where anybody may register, somebody else may have done so with this address, waiting for its owner to come by this way.
    // Whoever may more than others is not made over to a provider by an address alone.
    if (same.role === 'client' && (closed || same.passwordHash === null))
      return addAccount(doors, request, same.id, who.account);
    throw new LadingError(
      'already_exists',
      'This address has an account here: sign in with its password, then link them.',
    );
  }
  if (closed) throw new LadingError('forbidden', 'Accounts are made by the administrator here; ask for one.');
  if (email === null) throw new LadingError('forbidden', 'The provider did not tell a verified e-mail address.');
  const made = await people.create({
    tenant,
    role: 'client',
    email,
    name: checkPersonalName(who.name === '' ? email : who.name.slice(0, 100), 'name'),
    surname: who.surname === '' ? '' : checkPersonalName(who.surname.slice(0, 100), 'surname'),
    password: null,
    outside: [who.account],
  });
  await audited(doors, request, 'user_created', made, who.account);
  return made;
}

async function addAccount(
  doors: Doors,
  request: FastifyRequest,
  id: string,
  account: OutsideAccount,
): Promise<PersonDocument> {
  const { identity } = doors;
  const person = identity.people.get(id);
  const changed = person && (await identity.people.update(id, { outside: [...person.outside, account] }));
  if (!changed) throw new LadingError('unauthorized', 'The account that was signed in is gone; sign in again.');
  await audited(doors, request, 'user_updated', changed, account);
  return changed;
}

/** Besides the sign-in, which is an entry of its own. */
function audited(
  { audit }: Doors,
  request: FastifyRequest,
  action: 'user_created' | 'user_updated',
  person: PersonDocument,
  { issuer }: OutsideAccount,
): Promise<void> {
  return audit.record({
    action,
    outcome: 'ok',
    principal: { id: person.id, kind: 'person' },
    tenant: person.tenant,
    address: request.ip,
    target: person.id,
    detail: `account at ${issuer}`,
    requestId: request.id,
  });
}

function providerOf({ outside }: Doors, name: Name): OutsideProvider {
  const found = outside.find((provider) => provider.name === name);
  if (!found) throw new LadingError('not_found', `This server has no sign-in through ${name}.`);
  return found;
}

/**
 * Linking changes an account, so a page of ours must ask for it: a link that somebody was sent does not.
 * @throws LadingError `invalid_request`, `forbidden`, `unauthorized`
 */
function signedInPerson({ tokens }: Doors, request: FastifyRequest): string {
  if (request.method === 'GET') throw new LadingError('invalid_request', 'link=true is for POST.');
  requireSameOrigin(request);
  const token = cookieOf(request.headers.cookie, ACCESS_COOKIE);
  const principal = token === null ? null : tokens.verify(token);
  if (principal?.kind !== 'person') throw new LadingError('unauthorized', 'Sign in first to link an account.');
  return principal.id;
}

/**
 * A path of this server, with or without the path of the proxy: what could lead anywhere else is refused.
 * @throws LadingError `invalid_request`
 */
function localPath(path: string, { prefix }: Site): string {
  const base = 'http://here.invalid';
  const url = path.startsWith('/') && URL.canParse(path, base) ? new URL(path, base) : null;
  // Browsers take what begins with two slashes for another host.
  const local = url?.origin === base && !url.pathname.startsWith('//') ? `${url.pathname}${url.search}${url.hash}` : '';
  if (local !== '' && local.length <= MOST_RETURN) return local.startsWith(`${prefix}/`) ? local : `${prefix}${local}`;
  throw new LadingError(
    'invalid_request',
    `return_to must be a path of this server, like /docs, of ${MOST_RETURN} characters at most.`,
  );
}

function setCookie(request: FastifyRequest, reply: FastifyReply, value: string, maxAge: number): void {
  const secure = wantsSecureCookies(request);
  const options = { path: request.site.path(COOKIE_PATH), httpOnly: true, sameSite: 'lax', secure, maxAge } as const;
  reply.header('set-cookie', fastifyCookie.serialize(COOKIE, value, options));
}
