/** Creates, lists and revokes share links. A principal needs the right to read the file. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import { NOTHING, shareValues } from '../../identity/audit-changes.ts';
import { checkPassword } from '../../identity/credentials/passwords.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Quotas } from '../../identity/quotas.ts';
import { mayEndShare } from '../../identity/rights/policy.ts';
import { checkName } from '../../protocol/names.ts';
import { Message } from '../../protocol/schemas/parts.ts';
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
import { requesterOf } from '../access/bearer.ts';
import { jsonBodies } from '../body/json.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../request/documented.ts';
import { nameParameter } from '../request/parameters.ts';
import { sharingOrigin } from './sharing-origin.ts';

/** What these routes need from the server. */
export interface ShareDeps {
  config: Pick<Config, 'idleSeconds'>;
  engine: Engine;
  identity: Identity;
  quotas: Quotas;
  tokens: Tokens;
  clock: Clock;
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
        'Creates a link to a complete file. Anyone who has the link can read the file without an account. The link is shown only once.',
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
      const name = checkName(request.params['*']);
      const owner = sharedOwner(deps, request, request.query.owner);
      const { expires_in: seconds, max_downloads: maxDownloads = null, password = null } = request.body;
      if (password !== null) await checkPassword(password, { email: '', site: request.hostname }, requesterOf(request));
      const file = await completeFile(deps, owner, name);
      const { tenant, creator } = authorizeShare(deps, request, owner);
      const lifeMs = (seconds ?? SHARE_SECONDS) * 1000;
      const requester = requesterOf(request);
      const created = await identity.shares.create({
        tenant,
        owner,
        file,
        maker: creator,
        password,
        lifeMs,
        maxDownloads,
        requester,
      });
      // The file or the creator may have been deleted before the link existed, which did not end the link.
      const current = await completeFile(deps, owner, name).catch(() => null);
      if (current?.id !== file.id || !identity.mayStillRead(creator, owner)) {
        await identity.shares.revoke(created.document.id);
        throw new LadingError('not_found', 'The file was deleted or replaced during the request.');
      }
      request.audited = { tenant };
      auditChange(request, NOTHING, { share: created.document.id, ...shareValues(created.document, deps.clock) });
      reply.code(201).header('cache-control', 'no-store');
      return {
        ...shown(created.document, request.principal, deps.clock),
        token: created.token,
        url: request.site.url(`/s/${created.token}`),
      };
    },
  });
}

function listRoute(app: FastifyInstance, deps: ShareDeps): void {
  app.get<{ Querystring: ShareListQuery }>('/api/shares', {
    schema: {
      tags,
      summary: 'Lists the valid links to your files, by any creator, oldest first.',
      querystring: ShareListQuery,
      response: { 200: ShareList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...SIGNED_IN, 'forbidden'] },
    },
    config: { needs: 'files:read' },
    handler: async (request, reply): Promise<ShareList> => {
      const { owner, filename } = request.query;
      const shares = deps.identity.shares.list(sharedOwner(deps, request, owner));
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
      summary: 'Revokes a link at once and ends its running downloads.',
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
      auditChange(request, shareValues(share, clock), NOTHING);
      return { message: 'The share link is revoked.' };
    },
  });
}

function shown(document: ShareDocument, principal: Principal, clock: Clock): Share {
  const { id, name, expiresAt, lastUsed, passwordHash, maxDownloads, downloads } = document;
  return {
    share_id: id,
    filename: name,
    ...sharingOrigin(principal, document),
    expires_at: iso(clock.dateOf(expiresAt)),
    password: passwordHash !== null,
    max_downloads: maxDownloads,
    downloads,
    last_used: lastUsed === null ? null : iso(lastUsed),
  };
}
