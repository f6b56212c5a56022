/** /ops and /client: accounts with a username sign up and sign in. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import { createAccount } from '../../identity/accounts.ts';
import { NOTHING, personValues } from '../../identity/audit-changes.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { unknownRequester } from '../../identity/limits/fair-queue.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { DEFAULT_TENANT, mayManage, tenantOf } from '../../identity/rights/policy.ts';
import { Account, NamedLogin, SignUp } from '../../protocol/schemas/identity/account.ts';
import { TenantQuery } from '../../protocol/schemas/identity/tenant.ts';
import { iso } from '../../protocol/times.ts';
import type { Principal } from '../../records/principal.ts';
import type { AccountKind, PersonDocument } from '../../records/subjects.ts';
import type { Config } from '../../settings/config.ts';
import { credentialOf } from '../access/bearer.ts';
import { beginLongSession, namedKey, passwordAttempt } from '../access/sign-in.ts';
import { ANY_FORM, anyForms } from '../body/form.ts';
import { needsFields } from '../body/required-fields.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { SMALL_BODY, WORKING } from '../request/documented.ts';

/** What these routes need from the server. */
export interface AccountLoginDeps {
  config: Pick<Config, 'accountDays' | 'idleSeconds' | 'registration'>;
  identity: Identity;
  access: Access;
  tokens: Tokens;
  throttle: Throttle;
  /** The throttle of sign-ups, which is separate from that of sign-ins. */
  signUps: Throttle;
}

const tags = ['Ops and clients'];
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' };

/** Routes that need no sign-in. */
export function accountLoginRoutes(app: FastifyInstance, deps: AccountLoginDeps): void {
  app.register(async (scope) => {
    anyForms(scope);
    for (const kind of ['ops', 'client'] as const) {
      signUpRoute(scope, deps, kind);
      loginRoute(scope, deps, kind);
    }
  });
}

function signUpRoute(app: FastifyInstance, deps: AccountLoginDeps, kind: AccountKind): void {
  const { config, identity, signUps } = deps;
  app.post<{ Body: SignUp; Querystring: TenantQuery }>(`/${kind}/signup`, {
    schema: {
      tags,
      summary: `Creates ${kind === 'ops' ? 'an ops' : 'a client'} account. Requires an administrator, unless LADING_REGISTRATION is open.`,
      security: [{}, { bearer: ['users:admin'] }],
      consumes: ANY_FORM,
      querystring: TenantQuery,
      body: SignUp,
      response: { 201: Account },
      documented: {
        replies: { 201: ['Cache-Control'] },
        errors: ['unauthorized', 'forbidden', 'not_found', 'already_exists', 'rate_limited', ...SMALL_BODY, ...WORKING],
      },
    },
    config: { audit: 'user_created' },
    onRequest: (request, _reply, next) => {
      const administrator = administratorOf(deps, request);
      if (administrator) request.audited = { principal: administrator };
      else if (config.registration === 'closed') {
        return next(new LadingError('forbidden', 'Registration is closed. Ask an administrator for an account.'));
      }
      next();
    },
    preParsing: smallBody(config.idleSeconds),
    preValidation: needsFields(SignUp),
    handler: async (request, reply): Promise<Account> => {
      const { audited, body } = request;
      const tenant = tenantFor(request, identity);
      if (!audited) {
        const key = namedKey('', kind, body.username);
        signUps.check(key, request.ip);
        // Every attempt counts: an account takes space, and a refusal reveals that the name exists.
        signUps.recordFailure(key, request.ip);
      }
      const administrator = audited?.principal;
      const requester = administrator ? { from: administrator.id, known: true } : unknownRequester(request.ip);
      const created = await createAccount(identity, tenant, kind, body, request.hostname, requester);
      request.audited = { ...audited, target: created.id, tenant: created.tenant };
      auditChange(request, NOTHING, personValues(created));
      reply.code(201).header('cache-control', 'no-store');
      return shownAccount(created);
    },
  });
}

/**
 * The tenant of the new account: that of the administrator, the one that root names or, without a sign-in, the default tenant.
 * @throws LadingError `forbidden`, `not_found`
 */
function tenantFor(
  { audited, query }: FastifyRequest<{ Querystring: TenantQuery }>,
  { tenants }: AccountLoginDeps['identity'],
): string {
  const principal = audited?.principal;
  if (principal) {
    const tenant = tenantOf(principal, query.tenant);
    if (tenants.has(tenant)) return tenant;
    throw new LadingError('not_found', 'There is no such tenant.');
  }
  if ((query.tenant ?? DEFAULT_TENANT) === DEFAULT_TENANT) return DEFAULT_TENANT;
  throw new LadingError('forbidden', 'Registration is closed in this tenant. Ask an administrator for an account.');
}

/**
 * The administrator who creates the account; null without a sign-in.
 * @throws LadingError `unauthorized`, `forbidden`
 */
function administratorOf({ access }: AccountLoginDeps, request: FastifyRequest): Principal | null {
  const token = credentialOf(request);
  if (token === null) return null;
  const principal = access.bearer(token);
  return principal.scopes.has('users:admin') && mayManage(principal, 'client') ? principal : null;
}

function shownAccount({ id, name, account, createdAt }: PersonDocument): Account {
  if (!account) throw new Error('the created account has no username');
  const { kind, username, contact } = account;
  return { id, kind, username, name: name === '' ? null : name, email: contact, created_at: iso(createdAt) };
}

function loginRoute(app: FastifyInstance, deps: AccountLoginDeps, kind: AccountKind): void {
  app.post<{ Body: NamedLogin }>(`/${kind}/login`, {
    schema: {
      tags,
      summary: `Signs ${kind === 'ops' ? 'an ops' : 'a client'} account in. Returns only the token, as text.`,
      security: [],
      consumes: ANY_FORM,
      body: NamedLogin,
      response: { 200: { description: 'The token', content: { 'text/plain': { schema: Type.String() } } } },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: ['not_found', 'rate_limited', ...WORKING, ...SMALL_BODY],
      },
    },
    config: { audit: 'sign_in' },
    preParsing: smallBody(deps.config.idleSeconds),
    preValidation: needsFields(NamedLogin),
    handler: async (request, reply) => {
      const { identity, throttle } = deps;
      const { username, password, tenant = DEFAULT_TENANT } = request.body;
      const claimed = identity.people.byName(tenant, kind, username);
      // Unknown names are not logged, because people type passwords into the wrong field.
      if (claimed) request.audited = { target: claimed.id, tenant };
      const person = await throttle.attempt(
        namedKey(tenant, kind, username),
        request.ip,
        (requester) => identity.people.authenticateNamed(tenant, kind, username, password, requester),
        passwordAttempt(identity, claimed, request),
      );
      // The tenant may have been deleted.
      const principal = person && identity.subject('person', person.id);
      const token = principal && (await beginLongSession(deps, request, person));
      if (!token) throw new LadingError('not_found', `There is no ${kind} account with this name and password.`);
      request.audited = { principal };
      return reply.headers({ ...NO_STORE, 'content-type': 'text/plain; charset=utf-8' }).send(token);
    },
  });
}
