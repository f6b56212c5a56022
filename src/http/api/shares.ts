/** Share links. Principals who may read the file create, list and revoke them; anyone who has the link may use it. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import type { Audit } from '../../identity/audit.ts';
import { NOTHING, ofShare } from '../../identity/audit-changes.ts';
import { checkPassword } from '../../identity/credentials/passwords.ts';
import type { Asker } from '../../identity/limits/fair-queue.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import type { Quotas } from '../../identity/quotas.ts';
import { mayEndShare, parseOwnerKey, visibleCreator } from '../../identity/rights/policy.ts';
import { checkName } from '../../protocol/names.ts';
import { ForeignQuery, Message } from '../../protocol/schemas/parts.ts';
import {
  NewShare,
  SHARE_SECONDS,
  type Share,
  ShareCreated,
  ShareList,
  ShareListQuery,
  ShareQuery,
} from '../../protocol/schemas/share.ts';
import { iso } from '../../protocol/times.ts';
import type { Principal } from '../../records/principal.ts';
import type { ShareDocument } from '../../records/sharing.ts';
import type { Config } from '../../settings/config.ts';
import { authorizeShare, completeFile, sharedOwner } from '../access/authorize-share.ts';
import { askerOf, basicCredentials } from '../access/bearer.ts';
import { jsonBodies } from '../body/json.ts';
import { type DownloadDeps, downloadSchema } from '../native/download.ts';
import { fileSender } from '../native/file-sender.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { type ProblemReply, problemReply } from '../problems/problems.ts';
import { SIGNED_IN, SMALL_BODY, WORKING } from '../request/documented.ts';
import { nameParameter } from '../request/parameters.ts';

/** What these routes need from the server. */
export interface ShareDeps extends DownloadDeps {
  config: Pick<Config, 'idleSeconds'>;
  audit: Audit;
  quotas: Quotas;
  tokens: Tokens;
  throttle: Throttle;
}

const tags = ['Sharing'];

/** Routes that need a sign-in. */
export function shareRoutes(app: FastifyInstance, deps: ShareDeps): void {
  app.register(async (json) => createRoute(json, deps));
  listRoute(app, deps);
  revokeRoute(app, deps);
}

function createRoute(app: FastifyInstance, deps: ShareDeps): void {
  const { identity, config } = deps;
  jsonBodies(app);
  app.post<{ Params: { '*': string }; Querystring: ShareQuery; Body: NewShare }>('/api/files/share/*', {
    schema: {
      tags,
      summary:
        'Creates a link to a complete file. Anyone who has it can read the file without an account. It is shown only once.',
      params: nameParameter,
      querystring: ShareQuery,
      body: NewShare,
      response: { 201: ShareCreated },
      documented: {
        // All keys have defaults.
        optionalBody: true,
        replies: { 201: ['Cache-Control'] },
        errors: [
          ...SIGNED_IN,
          'forbidden',
          'invalid_name',
          'not_found',
          'not_complete',
          ...SMALL_BODY,
          'quota_exceeded',
        ],
      },
    },
    config: { needs: 'files:read', guarded: 'share', audit: 'share_created' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<ShareCreated> => {
      const { owner: asked } = request.query;
      const name = checkName(request.params['*']);
      const owner = sharedOwner(deps, request, asked);
      const { expires_in: seconds, max_downloads: maxDownloads = null, password = null } = request.body;
      if (password !== null) await checkPassword(password, { email: '', site: request.hostname }, askerOf(request));
      const file = await completeFile(deps, owner, name);
      const { tenant, creator } = authorizeShare(deps, request, owner);
      const lifeMs = (seconds ?? SHARE_SECONDS) * 1000;
      const asker = askerOf(request);
      const made = await identity.shares.create({
        tenant,
        owner,
        file,
        maker: creator,
        password,
        lifeMs,
        maxDownloads,
        asker,
      });
      // The file or the creator may have been deleted meanwhile, which did not end this link.
      const again = await completeFile(deps, owner, name).catch(() => null);
      if (again?.id !== file.id || !identity.mayStillRead(creator, owner)) {
        await identity.shares.revoke(made.document.id);
        throw new LadingError('not_found', 'The file was deleted or replaced during the request.');
      }
      request.audited = { tenant };
      auditChange(request, NOTHING, { share: made.document.id, ...ofShare(made.document, deps.clock) });
      reply.code(201).header('cache-control', 'no-store');
      return {
        ...shown(made.document, request.principal, deps.clock),
        token: made.token,
        url: request.site.url(`/s/${made.token}`),
      };
    },
  });
}

function listRoute(app: FastifyInstance, deps: ShareDeps): void {
  app.get<{ Querystring: ShareListQuery }>('/api/shares', {
    schema: {
      tags,
      summary: 'Lists the valid links to your files by any creator, oldest first.',
      querystring: ShareListQuery,
      response: { 200: ShareList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...SIGNED_IN, 'forbidden'] },
    },
    config: { needs: 'files:read' },
    handler: async (request, reply): Promise<ShareList> => {
      const { owner: asked, filename } = request.query;
      const shares = deps.identity.shares.list(sharedOwner(deps, request, asked));
      reply.header('cache-control', 'no-store');
      return {
        shares: shares
          .filter(({ name }) => (filename ?? name) === name)
          .map((one) => shown(one, request.principal, deps.clock)),
      };
    },
  });
}

function revokeRoute(app: FastifyInstance, { identity, clock }: ShareDeps): void {
  app.delete<{ Params: { share_id: string } }>('/api/shares/:share_id', {
    schema: {
      tags,
      summary: 'Revokes a link at once and cuts its downloads.',
      params: Type.Object({ share_id: Type.String() }),
      response: { 200: Message },
      documented: { errors: [...SIGNED_IN, 'not_found'] },
    },
    config: { needs: 'files:read', audit: 'share_revoked' },
    handler: async (request): Promise<Message> => {
      const { share_id: id } = request.params;
      const share = identity.shares.get(id);
      // Do not reveal links to other people's files.
      if (!share || !mayEndShare(request.principal, share)) {
        throw new LadingError('not_found', 'There is no such share link.');
      }
      request.audited = { tenant: share.tenant };
      await identity.shares.revoke(id);
      auditChange(request, ofShare(share, clock), NOTHING);
      return { message: 'The share link is revoked.' };
    },
  });
}

function shown(document: ShareDocument, principal: Principal, clock: Clock): Share {
  const { id, name, owner, createdAt, expiresAt, lastUsed, passwordHash, maxDownloads, downloads } = document;
  return {
    share_id: id,
    filename: name,
    owner: parseOwnerKey(owner).id,
    created_by: visibleCreator(principal, document),
    created_at: iso(createdAt),
    expires_at: iso(clock.dateOf(expiresAt)),
    password: passwordHash !== null,
    max_downloads: maxDownloads,
    downloads,
    last_used: lastUsed === null ? null : iso(lastUsed),
  };
}

/** The route that serves a share link. It needs no sign-in. */
export function sharedFileRoute(app: FastifyInstance, deps: ShareDeps): void {
  const { identity, audit } = deps;
  const send = fileSender(app, deps);
  app.route<{ Params: { token: string } }>({
    method: ['GET', 'HEAD'],
    url: '/s/:token',
    schema: {
      ...downloadSchema,
      tags,
      summary:
        'Downloads a shared file, whole or by ranges. Send the password of the link, if it has one, with HTTP Basic.',
      description:
        'The user name is ignored. HEAD and prefetches do not count as downloads. Ranges that make up the file count as ' +
        'one download. For each download, as many further bytes as the file has may be read; beyond that, a Range returns the whole file.',
      security: [{}, { basic: [] }],
      params: Type.Object({ token: Type.String({ description: 'The token of the link.' }) }),
      // Messengers and mail programs add parameters to links.
      querystring: ForeignQuery,
      documented: {
        ...downloadSchema.documented,
        errors: [
          'unauthorized',
          'rate_limited',
          ...WORKING,
          'not_found',
          'precondition_failed',
          'range_not_satisfiable',
          'insufficient_storage',
        ],
      },
    },
    config: { frequent: true, secretPath: true, refusal: basicRefusal },
    handler: async (request, reply) => {
      const share = identity.shares.ofToken(request.params.token);
      if (!share || !stillStands(deps, share)) throw noShare();
      const { id, tenant, owner, name, fileId } = share;
      request.audited = { target: `share ${id}`, tenant };
      // A prefetched file may never be opened. Browsers request it again when it is.
      if (share.maxDownloads !== null && isPrefetch(request)) throw notAhead();
      if (share.passwordHash !== null) await checkSharePassword(deps, request, share);
      reply.headers({ 'referrer-policy': 'no-referrer', 'x-robots-tag': 'noindex' });
      return send(
        {
          owner,
          name,
          id: fileId,
          isAuthorized: () => stillStands(deps, share),
          reserve: async (extents, ranged) => {
            const { ip: address, id: requestId } = request;
            const take = await identity.shares.reserve(id, extents, ranged, address);
            if (!take) throw noShare();
            const who = { principal: null, tenant, address, requestId };
            audit.recordAggregated({
              action: 'share_used',
              outcome: 'ok',
              ...who,
              target: `share ${id}`,
              detail: name,
            });
            return take;
          },
        },
        request,
        reply,
      );
    },
  });
}

/** True for a prefetch (Fetch, `Sec-Purpose`; older browsers send `Purpose` or `X-Moz`). */
function isPrefetch({ method, headers }: FastifyRequest): boolean {
  if (method === 'HEAD') return false;
  const said = [headers['sec-purpose'], headers.purpose, headers['x-purpose'], headers['x-moz']].flat();
  return said.some((value) => /\b(?:prefetch|prerender|preview)\b/i.test(value ?? ''));
}

function notAhead(): LadingError {
  return new LadingError('overloaded', 'This link counts its downloads, so it cannot be prefetched.', {
    retry_after: 1,
  });
}

/** True while the link is valid and its creator may still read the file. */
function stillStands({ identity }: ShareDeps, { id, maker, owner }: ShareDocument): boolean {
  return identity.shares.isLive(id) && identity.mayStillRead(maker, owner);
}

/** @throws LadingError `unauthorized`, `rate_limited` */
async function checkSharePassword(
  { identity, throttle }: ShareDeps,
  request: FastifyRequest,
  share: ShareDocument,
): Promise<void> {
  const given = basicCredentials(request.headers.authorization);
  if (!given)
    throw new LadingError('unauthorized', 'This link requires a password. Send it with HTTP Basic and any user name.');
  const isRight = async (asker: Asker): Promise<ShareDocument | null> =>
    (await identity.shares.isPasswordOf(share, given.secret, asker)) ? share : null;
  const right = await throttle.attempt(`share:${share.id}`, request.ip, isRight, { chosen: true });
  if (!right) throw new LadingError('unauthorized', 'Wrong password for this link.');
}

/** The same error for every reason, so that it reveals nothing about the link. */
function noShare(): LadingError {
  return new LadingError('not_found', 'The link does not exist, has expired, or has no downloads left.');
}

/** Makes browsers ask for the password. */
function basicRefusal(...of: Parameters<typeof problemReply>): ProblemReply {
  const reply = problemReply(...of);
  if (reply.status !== 401) return reply;
  return { ...reply, headers: { ...reply.headers, 'www-authenticate': 'Basic realm="shared file", charset="UTF-8"' } };
}
