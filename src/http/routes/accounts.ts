/** /ops and /client: accounts with a name to sign in by; ops store whole files, clients list and fetch them. GET /logout. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { AccountKind, PersonDocument, Principal } from '../../contracts.ts';
import { LadingError } from '../../errors.ts';
import { createAccount, requireAccount } from '../../identity/accounts.ts';
import { DEFAULT_TENANT, mayManage, ownerKey, ownerOf } from '../../identity/policy.ts';
import { strangerAt } from '../../identity/turns.ts';
import {
  Account,
  NamedLogin,
  OpsFiles,
  OpsFilesQuery,
  OpsStored,
  OpsUploadQuery,
  SignUp,
} from '../../protocol/account-schemas.ts';
import { checkName } from '../../protocol/names.ts';
import { Message } from '../../protocol/schemas.ts';
import { iso } from '../../protocol/times.ts';
import { prefersText } from '../accept.ts';
import { credentialOf, standing } from '../auth.ts';
import { NOTHING, noteChange, ofPerson } from '../changes.ts';
import { clearCookies } from '../cookies.ts';
import { varyBy } from '../cors.ts';
import { refuseForeign } from '../csrf.ts';
import type { RouteDeps } from '../deps.ts';
import { ANY_FORM, anyForms } from '../form.ts';
import { receiveOneShot } from '../one-shot.ts';
import { SIGNED_IN, SMALL_BODY, WORKING } from '../openapi/documented.ts';
import { PRECONDITIONS } from '../preconditions.ts';
import { smallBody } from '../refuse.ts';
import { beginLongSession, endSessionOf, namedKey, passwordOf } from '../sessions.ts';
import { downloadSchema, fileSender } from './download.ts';
import { decodeCursor, encodeCursor } from './files.ts';
import { Binary, formOf, ONE_SHOT_ERRORS } from './one-shot-schema.ts';
import { bodyUnseen } from './upload.ts';

const tags = ['Ops and clients'];
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' };

/** The doors that need no sign-in. */
export function accountDoors(app: FastifyInstance, deps: RouteDeps): void {
  app.register(async (scope) => {
    anyForms(scope);
    for (const kind of ['ops', 'client'] as const) {
      signUpRoute(scope, deps, kind);
      loginRoute(scope, deps, kind);
    }
  });
}

/** What those do who have signed in. */
export function accountRoutes(app: FastifyInstance, deps: RouteDeps): void {
  logoutRoute(app, deps);
  app.register(async (scope) => uploadRoute(scope, deps));
  listRoute(app, deps);
  downloadRoute(app, deps);
}

function signUpRoute(app: FastifyInstance, deps: RouteDeps, kind: AccountKind): void {
  const { config, identity, signUps } = deps;
  app.post<{ Body: SignUp }>(`/${kind}/signup`, {
    schema: {
      tags,
      summary: `Makes ${kind === 'ops' ? 'an ops' : 'a client'} account. For administrators, unless LADING_REGISTRATION is open.`,
      security: [{}, { bearer: ['users:admin'] }],
      consumes: ANY_FORM,
      body: SignUp,
      response: { 201: Account },
      documented: {
        replies: { 201: ['Cache-Control'] },
        errors: [
          'unauthorized',
          'forbidden',
          'already_exists',
          'rate_limited',
          ...SMALL_BODY,
          ...WORKING,
          'insufficient_storage',
        ],
      },
    },
    config: { audit: 'user_created' },
    onRequest: (request, _reply, next) => {
      const administrator = administratorOf(deps, request);
      if (administrator) request.audited = { principal: administrator };
      else if (config.registration === 'closed') {
        return next(new LadingError('forbidden', 'Only an administrator makes accounts here; ask for one.'));
      }
      next();
    },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Account> => {
      const { audited, body } = request;
      if (!audited) {
        const key = namedKey('', kind, body.username);
        signUps.check(key, request.ip);
        // Each try counts, good or not: an account costs room, and a refused one tells that the name is taken.
        signUps.failed(key, request.ip);
      }
      const by = audited?.principal;
      const asker = by ? { from: by.id, known: true } : strangerAt(request.ip);
      const made = await createAccount(identity, by?.tenant ?? DEFAULT_TENANT, kind, body, request.hostname, asker);
      request.audited = { ...audited, target: made.id, tenant: made.tenant };
      noteChange(request, NOTHING, ofPerson(made));
      reply.code(201).header('cache-control', 'no-store');
      return shownAccount(made);
    },
  });
}

/**
 * Who makes accounts for others, if somebody who may do so asks.
 * @throws LadingError `unauthorized`, `forbidden`
 */
function administratorOf({ access }: RouteDeps, request: FastifyRequest): Principal | null {
  const token = credentialOf(request);
  if (token === null) return null;
  const principal = access.bearer(token);
  return principal.scopes.has('users:admin') && mayManage(principal, 'client') ? principal : null;
}

function shownAccount({ id, name, account, createdAt }: PersonDocument): Account {
  if (!account) throw new Error('the account that was made has no name');
  const { kind, username, contact } = account;
  return { id, kind, username, name: name === '' ? null : name, email: contact, created_at: iso(createdAt) };
}

function loginRoute(app: FastifyInstance, deps: RouteDeps, kind: AccountKind): void {
  app.post<{ Body: NamedLogin }>(`/${kind}/login`, {
    schema: {
      tags,
      summary: `Signs ${kind === 'ops' ? 'an ops' : 'a client'} account in: the reply is the token (JWT) and nothing else.`,
      security: [],
      consumes: ANY_FORM,
      body: NamedLogin,
      response: { 200: { description: 'The token', content: { 'text/plain': { schema: Type.String() } } } },
      documented: {
        replies: { 200: ['Cache-Control'] },
        errors: ['not_found', 'rate_limited', ...WORKING, ...SMALL_BODY, 'insufficient_storage'],
      },
    },
    config: { audit: 'sign_in' },
    preParsing: smallBody(deps.config.idleSeconds),
    handler: async (request, reply) => {
      const { identity, throttle } = deps;
      const { username, password, tenant = DEFAULT_TENANT } = request.body;
      const claimed = identity.people.byName(tenant, kind, username);
      // Of unknown names nothing is remembered: people type passwords into the wrong field.
      if (claimed) request.audited = { target: claimed.id, tenant };
      const person = await throttle.attempt(
        namedKey(tenant, kind, username),
        request.ip,
        (asker) => identity.people.authenticateNamed(tenant, kind, username, password, asker),
        passwordOf(identity, claimed, request),
      );
      // Their tenant may be gone.
      const principal = person && identity.subject('person', person.id);
      const token = principal && (await beginLongSession(deps, request, person));
      if (!token) throw new LadingError('not_found', `There is no ${kind} account of this name with this password.`);
      request.audited = { principal };
      return reply.headers({ ...NO_STORE, 'content-type': 'text/plain; charset=utf-8' }).send(token);
    },
  });
}

function logoutRoute(app: FastifyInstance, deps: RouteDeps): void {
  app.get('/logout', {
    schema: {
      tags,
      summary: 'Ends the session that the token is of, at once.',
      response: { 200: Message },
      documented: {
        replies: { 200: ['Cache-Control', 'Set-Cookie'] },
        errors: ['forbidden', ...SIGNED_IN, 'insufficient_storage'],
      },
    },
    config: { needs: 'sign-in', audit: 'sign_out' },
    // A HEAD is sent to look at something, and must end nothing.
    exposeHeadRoute: false,
    handler: async (request, reply): Promise<Message> => {
      const byCookie = request.headers.authorization === undefined;
      // A link or an image on another site's page must not sign its visitors out.
      if (byCookie) refuseForeign(request);
      if (request.principal.kind === 'token') {
        throw new LadingError(
          'forbidden',
          'An API token is no session; it is revoked by DELETE /api/tokens/{token_id}.',
        );
      }
      const token = credentialOf(request) ?? '';
      const principal = await endSessionOf(deps, token);
      if (principal) request.audited = { principal };
      if (byCookie) clearCookies(request, reply);
      reply.header('cache-control', 'no-store');
      return { message: 'Signed out.' };
    },
  });
}

function uploadRoute(app: FastifyInstance, deps: RouteDeps): void {
  const { engine, identity } = deps;
  app.post<{ Querystring: OpsUploadQuery }>('/ops/upload', {
    schema: {
      tags,
      summary:
        'Stores a file sent whole, as the part "request_file" of a form; client accounts of the tenant may fetch it.',
      querystring: OpsUploadQuery,
      body: formOf({ request_file: Binary }),
      response: { 201: OpsStored },
      documented: { request: PRECONDITIONS, errors: ONE_SHOT_ERRORS },
    },
    validatorCompiler: bodyUnseen,
    config: { needs: 'files:write' },
    handler: async (request, reply): Promise<OpsStored> => {
      const { account } = requireAccount(identity, request.principal, 'ops');
      const owner = ownerOf(request.principal);
      const { overwrite = false } = request.query;
      const { status } = await receiveOneShot(engine, request, reply, {
        part: 'request_file',
        form: { fields: [], query: Object.keys(OpsUploadQuery.properties) },
        owner,
        overwrite,
        stands: standing(deps, request),
      });
      reply.code(201);
      return {
        message: 'File uploaded successfully.',
        id: status.id ?? '',
        file_name: status.filename,
        file_size: status.total_bytes ?? 0,
        uploaded_by: account?.username ?? '',
      };
    },
  });
}

const opsUsername = { ops_username: Type.String({ description: 'The name of an ops account.' }) };

/**
 * Whose files a client account asks for.
 * @throws LadingError `forbidden` for who is no client account, `not_found`
 */
function opsOwner({ identity }: RouteDeps, { principal }: FastifyRequest, username: string): string {
  requireAccount(identity, principal, 'client');
  const ops = identity.people.byName(principal.tenant, 'ops', username);
  if (!ops) throw new LadingError('not_found', 'There is no ops account of this name.');
  return ownerKey(ops.tenant, ops.id);
}

function listRoute(app: FastifyInstance, deps: RouteDeps): void {
  app.get<{ Params: { ops_username: string }; Querystring: OpsFilesQuery }>('/client/files/:ops_username', {
    schema: {
      tags,
      summary: 'The names of the complete files of an ops account; with Accept: text/plain one a line.',
      params: Type.Object(opsUsername),
      querystring: OpsFilesQuery,
      response: {
        200: {
          description: 'The names, a page at a time',
          content: { 'application/json': { schema: OpsFiles }, 'text/plain': { schema: Type.String() } },
        },
      },
      documented: {
        replies: { 200: ['Cache-Control', 'Link'] },
        errors: [...SIGNED_IN, 'forbidden', 'not_found'],
      },
    },
    config: { needs: 'files:read' },
    handler: async (request, reply) => {
      const { ops_username: username } = request.params;
      const owner = opsOwner(deps, request, username);
      const { limit = 1000, cursor } = request.query;
      const page = { owner, prefix: '', cursor: decodeCursor(cursor), limit, status: 'complete' as const };
      const { files, next_cursor: next } = await deps.engine.list(page);
      varyBy(reply, 'Accept').header('cache-control', 'no-store');
      if (next !== null) {
        const path = request.site.path(`/client/files/${encodeURIComponent(username)}`);
        reply.header('link', `<${path}?limit=${limit}&cursor=${encodeCursor(next)}>; rel="next"`);
      }
      const names = files.map(({ filename }) => filename);
      if (!prefersText(request.headers.accept)) return names;
      reply.type('text/plain; charset=utf-8');
      return names.map((name) => `${name}\n`).join('');
    },
  });
}

function downloadRoute(app: FastifyInstance, deps: RouteDeps): void {
  const send = fileSender(app, deps);
  app.route<{ Params: { ops_username: string; '*': string } }>({
    method: ['GET', 'HEAD'],
    url: '/client/files/:ops_username/*',
    schema: {
      ...downloadSchema,
      tags,
      summary: 'The bytes of a file of an ops account, whole or by ranges.',
      params: Type.Object({ ...opsUsername, ...downloadSchema.params.properties }),
      querystring: Type.Object({}),
    },
    config: { needs: 'files:read', frequent: true, guarded: 'downloads' },
    handler: async (request, reply) => {
      const owner = opsOwner(deps, request, request.params.ops_username);
      return send({ owner, name: checkName(request.params['*']) }, request, reply);
    },
  });
}
