/** /v1/auth: people register, sign in and sign out. */
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyRequest, onRequestHookHandler } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import { NOTHING, personValues } from '../../identity/audit-changes.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { DEFAULT_TENANT } from '../../identity/rights/policy.ts';
import { checkEmail } from '../../identity/subjects/profile.ts';
import { Login, RefreshToken, Registration, SignedIn } from '../../protocol/schemas/identity/people.ts';
import { Message } from '../../protocol/schemas/parts.ts';
import type { PersonDocument } from '../../records/subjects.ts';
import type { Config } from '../../settings/config.ts';
import { bearerToken, requesterOf } from '../access/bearer.ts';
import { newPersonOf } from '../access/person-input.ts';
import {
  beginSession,
  endSessionOf,
  passwordAttempt,
  personKey,
  renewSession,
  wrongCredentials,
} from '../access/sign-in.ts';
import { formBodies } from '../body/form.ts';
import { jsonBodies } from '../body/json.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { ACCESS_COOKIE, clearCookies, cookieOf, REFRESH_COOKIE } from '../request/cookies.ts';
import { refuseForeign, requireSameOrigin } from '../request/csrf.ts';
import { SIGNED_IN, SMALL_BODY, WORKING } from '../request/documented.ts';

/** What these routes need from the server. */
export interface LoginDeps {
  config: Pick<Config, 'idleSeconds' | 'registration'>;
  identity: Identity;
  clock: Clock;
  tokens: Tokens;
  throttle: Throttle;
  /** The throttle of sign-ups, which is separate from that of sign-ins. */
  signUps: Throttle;
}

const tags = ['People'];
const TOKEN_REPLIES = { 200: ['Cache-Control', 'Set-Cookie'], 201: ['Cache-Control', 'Set-Cookie'] } as const;

/** Routes that need no sign-in. */
export function signInRoutes(app: FastifyInstance, deps: LoginDeps): void {
  app.register(async (scope) => {
    // The plugin parses and writes cookies. The routes decide which requests need that.
    await scope.register(fastifyCookie, { hook: false });
    scope.register(async (json) => {
      jsonBodies(json);
      registrationRoute(json, deps);
      refreshRoute(json, deps);
      logoutRoute(json, deps);
    });
    scope.register(async (jsonOrForm) => {
      formBodies(jsonOrForm);
      jsonOrForm.addContentTypeParser(
        'application/json',
        { parseAs: 'string' },
        jsonOrForm.getDefaultJsonParser('error', 'error'),
      );
      loginRoute(jsonOrForm, deps);
    });
  });
}

/** Refuses requests of pages of other sites before the body is read. */
function sameSiteOnly(): onRequestHookHandler {
  return (request, _reply, next) => {
    refuseForeign(request);
    next();
  };
}

function registrationRoute(app: FastifyInstance, deps: LoginDeps): void {
  const { config, identity, signUps } = deps;
  app.post<{ Body: Registration }>('/v1/auth/registration', {
    schema: {
      tags,
      summary: 'Creates an account with the role client and signs the person in. Requires LADING_REGISTRATION=open.',
      security: [],
      body: Registration,
      response: { 201: SignedIn },
      documented: {
        replies: TOKEN_REPLIES,
        errors: ['forbidden', 'already_exists', 'rate_limited', ...SMALL_BODY, ...WORKING],
      },
    },
    config: { audit: 'user_created' },
    onRequest: [
      sameSiteOnly(),
      (_request, _reply, next) => {
        if (config.registration === 'open') return next();
        next(new LadingError('forbidden', 'Registration is closed. Ask an administrator for an account.'));
      },
    ],
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<SignedIn> => {
      const key = personKey('', checkEmail(request.body.email));
      // Check the throttle before the password, which takes time to check.
      signUps.check(key, request.ip);
      const person = await newPersonOf(request.body, request);
      signUps.check(key, request.ip);
      // Every attempt counts: an account takes space, and a refusal reveals that the address is registered.
      signUps.recordFailure(key, request.ip);
      const created = await identity.people.create(
        { ...person, tenant: DEFAULT_TENANT, role: 'client' },
        requesterOf(request),
      );
      request.audited = { target: created.id, tenant: created.tenant };
      auditChange(request, NOTHING, personValues(created));
      const signedIn = await beginSession(deps, request, reply, created);
      reply.code(201);
      return signedIn;
    },
  });
}

function loginRoute(app: FastifyInstance, deps: LoginDeps): void {
  app.post<{ Body: Login }>('/v1/auth/login', {
    schema: {
      tags,
      summary: 'Signs a person in with an e-mail address and a password.',
      security: [],
      consumes: ['application/json', 'application/x-www-form-urlencoded'],
      body: Login,
      response: { 200: SignedIn },
      documented: {
        replies: TOKEN_REPLIES,
        errors: ['forbidden', 'rate_limited', ...SIGNED_IN, ...SMALL_BODY],
      },
    },
    config: { audit: 'sign_in' },
    onRequest: sameSiteOnly(),
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<SignedIn> => {
      const { tenant = DEFAULT_TENANT, email, password } = request.body;
      const person = await authenticate(deps, request, { tenant, email, password });
      return beginSession(deps, request, reply, person);
    },
  });
}

/** Checks address and password. @throws LadingError `unauthorized`, the same for an unknown address and a wrong password; `rate_limited` */
async function authenticate(
  { identity, throttle }: LoginDeps,
  request: FastifyRequest,
  { tenant, email, password }: { tenant: string; email: string; password: string },
): Promise<PersonDocument> {
  const key = personKey(tenant, email);
  const claimed = identity.people.byEmail(tenant, email);
  if (claimed) request.audited = { target: claimed.id, tenant };
  const person = await throttle.attempt(
    key,
    request.ip,
    (requester) => identity.people.authenticate(tenant, email, password, requester),
    passwordAttempt(identity, claimed, request),
  );
  // The tenant may have been deleted.
  const principal = person && identity.subject('person', person.id);
  if (!principal) throw wrongCredentials();
  request.audited = { principal };
  return person;
}

function refreshRoute(app: FastifyInstance, deps: LoginDeps): void {
  app.post<{ Body: RefreshToken }>('/v1/auth/refresh', {
    schema: {
      tags,
      summary:
        'Returns new tokens for a refresh token. Repeated within 30 seconds, it returns the same tokens; used again later, it ends the session.',
      security: [],
      body: RefreshToken,
      response: { 200: SignedIn },
      documented: {
        // The cookie is sufficient.
        optionalBody: true,
        replies: TOKEN_REPLIES,
        errors: ['forbidden', ...SIGNED_IN, ...SMALL_BODY],
      },
    },
    onRequest: sameSiteOnly(),
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply): Promise<SignedIn> => {
      const token = request.body.refresh_token ?? refreshCookie(request);
      if (token === null) throw new LadingError('unauthorized', 'The request has no refresh token. Sign in again.');
      // An error does not clear the cookies, because another tab or a new sign-in may have replaced them.
      return renewSession(deps, request, reply, token);
    },
  });
}

function refreshCookie(request: FastifyRequest): string | null {
  const token = cookieOf(request.headers.cookie, REFRESH_COOKIE);
  if (token !== null) requireSameOrigin(request);
  return token;
}

function logoutRoute(app: FastifyInstance, deps: LoginDeps): void {
  const { config, identity } = deps;
  app.post<{ Body: RefreshToken }>('/v1/auth/logout', {
    schema: {
      tags,
      summary: 'Ends the session of the token or cookies. All its tokens become invalid at once.',
      security: [{ bearer: [] }, { cookie: [] }, {}],
      body: RefreshToken,
      response: { 200: Message },
      documented: {
        // The cookie is sufficient.
        optionalBody: true,
        replies: { 200: ['Set-Cookie'] },
        errors: ['forbidden', ...SIGNED_IN, ...SMALL_BODY],
      },
    },
    config: { audit: 'sign_out' },
    onRequest: sameSiteOnly(),
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Message> => {
      const { authorization, cookie } = request.headers;
      const sent = { bearer: bearerToken(authorization), refresh: request.body.refresh_token ?? null };
      const cookies = { access: cookieOf(cookie, ACCESS_COOKIE), refresh: cookieOf(cookie, REFRESH_COOKIE) };
      if (cookies.access !== null || cookies.refresh !== null) requireSameOrigin(request);
      const access = [sent.bearer, cookies.access].filter((token) => token !== null);
      const refresh = [sent.refresh, cookies.refresh].filter((token) => token !== null);
      if (access.length + refresh.length === 0) {
        throw new LadingError('unauthorized', 'The request has no credentials. Send a token or the cookies.');
      }
      const sessionIds = refresh.map((token) => {
        const session = identity.sessions.findByToken(token);
        const principal = session && identity.subject(session.kind, session.subject);
        if (principal) request.audited = { principal };
        return session?.id;
      });
      for (const token of access) {
        const principal = await endSessionOf(deps, token);
        if (principal) request.audited = { principal };
      }
      for (const id of sessionIds) if (id !== undefined) await identity.sessions.end(id);
      clearCookies(request, reply);
      return { message: 'Signed out.' };
    },
  });
}
