/**
 * /api/tokens/dashboard: the API tokens of the default tenant as plain pages, for people who know DASHBOARD_PASSWORD. Without that setting the
 * path redirects to the token page of the dashboard, with its ordinary sign-in. No script runs in these pages.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { Audit } from '../../identity/audit.ts';
import { apiTokenValues, NOTHING } from '../../identity/audit-changes.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { checkGrant, DEFAULT_TENANT, type TokenOwner } from '../../identity/rights/policy.ts';
import type { Clients } from '../../identity/subjects/clients.ts';
import { principalOf } from '../../identity/subjects/principals.ts';
import { MAX_SECONDS, wholeNumber } from '../../protocol/bounds.ts';
import { parseScopes, SCOPES } from '../../protocol/scopes.ts';
import type { Config } from '../../settings/config.ts';
import { checkLabel, DEFAULT_LABEL, READ_AND_WRITE } from '../access/token-owners.ts';
import { formBodies } from '../body/form.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { refuseForeign, wantsSecureCookies } from '../request/csrf.ts';
import { ownersOf, PATH, page, refusalPage, signInForm, tokensPage } from './token-dashboard-pages.ts';

/** What these routes need from the server. */
export interface TokenDashboardDeps {
  config: Pick<Config, 'dashboardPassword' | 'idleSeconds'>;
  identity: Identity;
  audit: Audit;
  clock: Clock;
  clients: Clients;
  throttle: Throttle;
}

const COOKIE = 'token_dashboard';
const SESSION_MS = 8 * 3600 * 1000;
const MAX_SESSIONS = 100;
/** Query parameter of the page after a successful sign-in. */
const BEGUN = 'begun';
const COOKIE_LOST =
  'The password is correct, but the browser did not keep the session cookie. Allow cookies for this address, and sign in again.';

type Form = URLSearchParams;

const hidden = { schema: { hide: true } } as const;

export function tokenDashboardRoutes(app: FastifyInstance, deps: TokenDashboardDeps): void {
  const { config, clock } = deps;
  const password = config.dashboardPassword;
  if (password === null) redirectRoutes(app);
  else {
    const sessions = new Sessions(() => clock.monotonic());
    pageRoutes(app, deps, sessions);
    app.register(async (forms) => {
      formBodies(forms, (body) => new URLSearchParams(body.toString('utf8')) as never);
      signInRoute(forms, deps, sessions, password);
      createRoute(forms, deps, sessions);
      revokeRoute(forms, deps, sessions);
      signOutRoute(forms, deps, sessions);
    });
  }
}

/** Without a password, the paths redirect to the tokens page of the dashboard. */
function redirectRoutes(app: FastifyInstance): void {
  for (const url of [PATH, `${PATH}/tokens`]) {
    app.get(url, hidden, (request, reply) =>
      reply.header('cache-control', 'no-store').redirect(request.site.path('/#/tokens'), 303),
    );
  }
}

/** @throws LadingError `unauthorized` without a session, `forbidden` for a form that another site sent */
function requireSession(request: FastifyRequest, sessions: Sessions): void {
  refuseForeign(request);
  if (!sessions.isValid(cookieOf(request)))
    throw new LadingError('unauthorized', 'The session of the token dashboard has ended. Sign in again.');
}

function pageRoutes(app: FastifyInstance, deps: TokenDashboardDeps, sessions: Sessions): void {
  app.get(PATH, hidden, (request, reply) => {
    if (sessions.isValid(cookieOf(request)))
      return reply.header('cache-control', 'no-store').redirect(request.site.path(`${PATH}/tokens`), 303);
    const lost = (request.query as Record<string, unknown>)[BEGUN] !== undefined;
    return page(request, reply, 'Sign in', signInForm(request.site, lost ? COOKIE_LOST : null));
  });
  app.get(`${PATH}/tokens`, hidden, (request, reply) => {
    if (!sessions.isValid(cookieOf(request)))
      return reply.header('cache-control', 'no-store').redirect(request.site.path(PATH), 303);
    return page(request, reply, 'API tokens', tokensPage(deps, request.site, null));
  });
}

function signInRoute(forms: FastifyInstance, deps: TokenDashboardDeps, sessions: Sessions, password: string): void {
  const { config, throttle } = deps;
  forms.post<{ Body: Form }>(
    PATH,
    {
      ...hidden,
      preParsing: smallBody(config.idleSeconds),
      config: { audit: 'sign_in', refusal: refusalPage('../../') },
    },
    async (request, reply) => {
      refuseForeign(request);
      request.audited = { tenant: DEFAULT_TENANT, target: 'token dashboard' };
      const sent = request.body?.get('password') ?? '';
      const verify = async (): Promise<true | null> => (isSame(sent, password) ? true : null);
      const correct = await throttle.attempt('token dashboard', request.ip, verify, { chosen: true });
      if (!correct) {
        deps.audit.recordAggregated({
          action: 'sign_in',
          outcome: 'refused',
          principal: null,
          tenant: DEFAULT_TENANT,
          address: request.ip,
          target: 'token dashboard',
          detail: null,
          requestId: request.id,
        });
        request.refusalCode = 'unauthorized';
        // The sign-in failed, although the form is shown again with 200, as browsers expect.
        request.audited = null;
        return page(request, reply, 'Sign in', signInForm(request.site, 'The password is wrong.'));
      }
      const secure = wantsSecureCookies(request);
      const options = {
        path: request.site.path(PATH),
        httpOnly: true,
        sameSite: 'strict',
        secure,
        maxAge: SESSION_MS / 1000,
      } as const;
      reply.header('set-cookie', fastifyCookie.serialize(COOKIE, sessions.begin(), options));
      // The next request shows whether the browser keeps the cookie.
      return reply.redirect(request.site.path(`${PATH}?${BEGUN}=1`), 303);
    },
  );
}

function createRoute(forms: FastifyInstance, deps: TokenDashboardDeps, sessions: Sessions): void {
  const { config, identity } = deps;
  forms.post<{ Body: Form }>(
    `${PATH}/tokens/create`,
    {
      ...hidden,
      preParsing: smallBody(config.idleSeconds),
      config: { audit: 'token_created', refusal: refusalPage('../../../../') },
    },
    async (request, reply) => {
      requireSession(request, sessions);
      const form = request.body ?? new URLSearchParams();
      const { owner, label } = ownerIn(form, ownersOf(deps));
      const words = wordsIn(form);
      const scopes = parseScopes(words);
      if (scopes.length === 0) throw new LadingError('validation_failed', 'Choose at least one scope.');
      checkGrant(principalOf(owner), scopes, 'the owner of the token does not have it');
      const seconds = wholeNumber(form.get('life') || '0', 0, MAX_SECONDS.token);
      if (seconds === null) throw new LadingError('validation_failed', 'Choose when the token expires.');
      const name = form.get('name')?.trim().slice(0, 200) || null;
      request.audited = { tenant: owner.tenant };
      const created = await identity.apiTokens.create({
        owner,
        name,
        label,
        scopes,
        words,
        lifeMs: seconds > 0 ? seconds * 1000 : null,
      });
      auditChange(request, NOTHING, apiTokenValues(created.document, deps.clock));
      return page(request, reply.code(201), 'API tokens', tokensPage(deps, request.site, created.token));
    },
  );
}

function revokeRoute(forms: FastifyInstance, deps: TokenDashboardDeps, sessions: Sessions): void {
  const { config, identity } = deps;
  forms.post<{ Params: { id: string } }>(
    `${PATH}/tokens/:id/revoke`,
    {
      ...hidden,
      preParsing: smallBody(config.idleSeconds),
      config: { audit: 'token_revoked', refusal: refusalPage('../../../../../') },
    },
    async (request, reply) => {
      requireSession(request, sessions);
      const { id } = request.params;
      request.audited = { tenant: DEFAULT_TENANT, target: id };
      const token = identity.apiTokens.get(id);
      if (token?.tenant !== DEFAULT_TENANT || !(await identity.apiTokens.revoke(id)))
        throw new LadingError('not_found', 'There is no API token with this id.');
      auditChange(request, apiTokenValues(token, deps.clock), NOTHING);
      return reply.redirect(request.site.path(`${PATH}/tokens`), 303);
    },
  );
}

/** GET too, for the links of older pages. */
function signOutRoute(forms: FastifyInstance, { config }: TokenDashboardDeps, sessions: Sessions): void {
  forms.route({
    method: ['GET', 'POST'],
    exposeHeadRoute: false,
    url: `${PATH}/logout`,
    ...hidden,
    preParsing: smallBody(config.idleSeconds),
    config: { audit: 'sign_out', refusal: refusalPage('../../../') },
    handler: async (request, reply) => {
      refuseForeign(request);
      request.audited = { tenant: DEFAULT_TENANT, target: 'token dashboard' };
      sessions.end(cookieOf(request));
      const options = { path: request.site.path(PATH), httpOnly: true, sameSite: 'strict', maxAge: 0 } as const;
      reply.header('set-cookie', fastifyCookie.serialize(COOKIE, '', options));
      return reply.header('cache-control', 'no-store').redirect(request.site.path(PATH), 303);
    },
  });
}

/**
 * The owner of a new token. Older pages send `user_id`, which may be a label: such a token belongs to the first administrator.
 * @throws LadingError `not_found`, `validation_failed`
 */
function ownerIn(form: Form, owners: readonly TokenOwner[]): { owner: TokenOwner; label?: string } {
  const older = !form.has('owner');
  const label = form.get('user_id')?.trim() || DEFAULT_LABEL;
  const named = owners.find(({ kind, id }) => (older ? id === label : `${kind} ${id}` === form.get('owner')));
  if (named) return { owner: named };
  const [first] = owners;
  if (!older || !first) throw new LadingError('not_found', 'There is no client or person with this id.');
  return { owner: first, label: checkLabel(label) };
}

/** The scopes of the token. Older pages send words in one or several fields; read and write by default. */
function wordsIn(form: Form): string[] {
  const words = form.getAll('scopes').flatMap((text) => text.split(/[\s,]+/).filter((word) => word !== ''));
  const older = !form.has('owner');
  if (older || words.length > 0) return words.length > 0 ? words : [...READ_AND_WRITE];
  return SCOPES.filter((scope) => form.get(`scope ${scope}`) === 'on');
}

/** Sessions of the token dashboard. They exist only in memory, as hashes of the cookies. */
class Sessions {
  readonly #now: () => number;
  readonly #ends = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  begin(): string {
    const cookie = randomBytes(32).toString('base64url');
    this.#ends.set(hashOf(cookie), this.#now() + SESSION_MS);
    // The oldest session ends when there are too many.
    for (const key of this.#ends.keys()) if (this.#ends.size > MAX_SESSIONS) this.#ends.delete(key);
    return cookie;
  }

  isValid(cookie: string | null): boolean {
    return cookie !== null && (this.#ends.get(hashOf(cookie)) ?? 0) > this.#now();
  }

  end(cookie: string | null): void {
    if (cookie !== null) this.#ends.delete(hashOf(cookie));
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function isSame(sent: string, password: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(sent)), Buffer.from(hashOf(password)));
}

function cookieOf({ headers }: FastifyRequest): string | null {
  return headers.cookie === undefined ? null : (fastifyCookie.parse(headers.cookie)[COOKIE] ?? null);
}
