/** /ops and /client: ops accounts upload whole files, client accounts list and download them. Also GET /logout. */
import type { FastifyInstance, FastifyRequest, FastifySchema } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import { requireAccount } from '../../identity/accounts.ts';
import { ownerKey, ownerOf } from '../../identity/rights/policy.ts';
import { checkName } from '../../protocol/names.ts';
import { OpsFiles, OpsFilesQuery, OpsStored, OpsUploadQuery } from '../../protocol/schemas/identity/account.ts';
import { Message } from '../../protocol/schemas/parts.ts';
import type { Config } from '../../settings/config.ts';
import { authorizationOf, credentialOf } from '../access/bearer.ts';
import { endSessionOf } from '../access/sign-in.ts';
import { type DownloadDeps, downloadSchema } from '../native/download.ts';
import { fileSender } from '../native/file-sender.ts';
import { decodeCursor, encodeCursor } from '../native/files.ts';
import { receiveFormFile } from '../native/form-file.ts';
import { Binary, FORM_FILE_ERRORS, formOf } from '../native/form-file-schema.ts';
import { skipBodyValidation } from '../native/upload.ts';
import { prefersText } from '../request/accept.ts';
import { clearCookies } from '../request/cookies.ts';
import { varyBy } from '../request/cors.ts';
import { refuseForeign } from '../request/csrf.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { PRECONDITIONS } from '../request/preconditions.ts';
import { JSON_ARRAY, pagesOf, WHOLE_LIST_STEP, wholeList } from '../send/whole-lists.ts';

/** What these routes need from the server. */
export interface AccountFileDeps extends DownloadDeps {
  config: Pick<Config, 'compat'>;
  tokens: Tokens;
}

const tags = ['Ops and clients'];

/** Routes that need a sign-in. */
export function accountRoutes(app: FastifyInstance, deps: AccountFileDeps): void {
  logoutRoute(app, deps);
  app.register(async (scope) => uploadRoute(scope, deps));
  listRoute(app, deps);
  downloadRoute(app, deps);
}

function logoutRoute(app: FastifyInstance, deps: AccountFileDeps): void {
  app.get('/logout', {
    schema: {
      tags,
      summary: 'Ends the session of the token at once.',
      response: { 200: Message },
      documented: {
        replies: { 200: ['Cache-Control', 'Set-Cookie'] },
        errors: ['forbidden', ...SIGNED_IN, 'insufficient_storage'],
      },
    },
    config: { needs: 'sign-in', audit: 'sign_out' },
    // HEAD must not change anything.
    exposeHeadRoute: false,
    handler: async (request, reply): Promise<Message> => {
      const byCookie = request.headers.authorization === undefined;
      // A link or an image on a page of another site must not sign visitors out.
      if (byCookie) refuseForeign(request);
      if (request.principal.kind === 'token') {
        throw new LadingError(
          'forbidden',
          'An API token has no session. Revoke it with DELETE /api/tokens/{token_id}.',
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

function uploadRoute(app: FastifyInstance, deps: AccountFileDeps): void {
  const { engine, identity, config } = deps;
  app.post<{ Querystring: OpsUploadQuery }>('/ops/upload', {
    schema: {
      tags,
      summary:
        'Stores a whole file from the part "request_file" of a form. Client accounts of the tenant may download it.',
      querystring: OpsUploadQuery,
      body: formOf({ request_file: Binary }),
      response: { 201: OpsStored },
      documented: { request: PRECONDITIONS, errors: FORM_FILE_ERRORS },
    },
    validatorCompiler: skipBodyValidation,
    config: { needs: 'files:write' },
    handler: async (request, reply): Promise<OpsStored> => {
      const { account } = requireAccount(identity, request.principal, 'ops');
      const owner = ownerOf(request.principal);
      const lastWins = config.compat.allows('replaceSameName');
      const { overwrite = lastWins } = request.query;
      const { status } = await receiveFormFile(engine, request, reply, {
        part: 'request_file',
        missing: 'invalid_request',
        form: { fields: [], query: Object.keys(OpsUploadQuery.properties) },
        owner,
        overwrite,
        lastWins: lastWins && overwrite,
        isAuthorized: authorizationOf(deps, request),
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

const opsUsername = { ops_username: Type.String({ description: 'The username of an ops account.' }) };

/**
 * The owner key of the ops account whose files a client account requests.
 * @throws LadingError `forbidden` unless the principal is a client account, `not_found`
 */
function opsOwner({ identity }: AccountFileDeps, { principal }: FastifyRequest, username: string): string {
  requireAccount(identity, principal, 'client');
  const ops = identity.people.byName(principal.tenant, 'ops', username);
  if (!ops) throw new LadingError('not_found', 'There is no ops account with this username.');
  return ownerKey(ops.tenant, ops.id);
}

const TEXT_TYPE = 'text/plain; charset=utf-8';
const TEXT_LINES = { before: '', between: '', after: '', entry: (name: string): string => `${name}\n` };

function listRoute(app: FastifyInstance, deps: AccountFileDeps): void {
  const schema = {
    tags,
    summary: 'Lists the complete files of an ops account. With Accept: text/plain, returns one name per line.',
    params: Type.Object(opsUsername),
    querystring: OpsFilesQuery,
    response: {
      200: {
        description: 'All names or, with limit, one page',
        content: { 'application/json': { schema: OpsFiles }, 'text/plain': { schema: Type.String() } },
      },
    },
    documented: {
      replies: { 200: ['Cache-Control', 'Link'] },
      errors: [...SIGNED_IN, 'forbidden', 'not_found'],
    },
  } satisfies FastifySchema;
  // Older programs send the path with a slash at its end.
  for (const [url, shown] of [
    ['/client/files/:ops_username', schema],
    ['/client/files/:ops_username/', { ...schema, hide: true }],
  ] as const) {
    app.get<{ Params: { ops_username: string }; Querystring: OpsFilesQuery }>(url, {
      schema: shown,
      config: { needs: 'files:read' },
      handler: async (request, reply) => {
        const { ops_username: username } = request.params;
        const owner = opsOwner(deps, request, username);
        const { limit, cursor } = request.query;
        const asText = prefersText(request.headers.accept);
        varyBy(reply, 'Accept').header('cache-control', 'no-store');
        const page = async (after: string | null, max: number): Promise<{ items: string[]; next: string | null }> => {
          const query = { owner, prefix: '', cursor: after, limit: max, status: 'complete' as const };
          const { files, next_cursor: next } = await deps.engine.list(query);
          return { items: files.map(({ filename }) => filename), next };
        };
        if (limit === undefined) {
          const pages = pagesOf((after: string | null) => page(after, WHOLE_LIST_STEP), decodeCursor(cursor));
          reply.type(asText ? TEXT_TYPE : 'application/json; charset=utf-8');
          return wholeList(pages, {
            ...(asText ? TEXT_LINES : JSON_ARRAY),
            isAuthorized: authorizationOf(deps, request),
          });
        }
        const { items: names, next } = await page(decodeCursor(cursor), limit);
        if (next !== null) {
          const path = request.site.path(`/client/files/${encodeURIComponent(username)}`);
          reply.header('link', `<${path}?limit=${limit}&cursor=${encodeCursor(next)}>; rel="next"`);
        }
        if (!asText) return names;
        reply.type(TEXT_TYPE);
        return names.map((name) => `${name}\n`).join('');
      },
    });
  }
}

function downloadRoute(app: FastifyInstance, deps: AccountFileDeps): void {
  const send = fileSender(app, deps);
  app.route<{ Params: { ops_username: string; '*': string } }>({
    method: ['GET', 'HEAD'],
    url: '/client/files/:ops_username/*',
    schema: {
      ...downloadSchema,
      tags,
      summary: 'Downloads a file of an ops account, or ranges of it.',
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
