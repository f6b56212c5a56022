/** /api/grants: an owner lets other principals of the tenant read files. They use the ordinary routes with `owner=`. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import { grantValues, NOTHING } from '../../identity/audit-changes.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Quotas } from '../../identity/quotas.ts';
import { mayEndShare, ownerKey, parseOwnerKey } from '../../identity/rights/policy.ts';
import { subjectsNamed } from '../../identity/subjects/names.ts';
import { checkName } from '../../protocol/names.ts';
import { Grant, GrantList, GrantQuery, NewGrant } from '../../protocol/schemas/grant.ts';
import { Message } from '../../protocol/schemas/parts.ts';
import { iso } from '../../protocol/times.ts';
import type { Principal, Subject } from '../../records/principal.ts';
import type { GrantDocument, GrantTarget } from '../../records/sharing.ts';
import type { Config } from '../../settings/config.ts';
import { authorizeShare, completeFile, sharedOwner } from '../access/authorize-share.ts';
import { jsonBodies } from '../body/json.ts';
import { auditChange } from '../observe/audit-change.ts';
import { smallBody } from '../problems/early-refusal.ts';
import { SIGNED_IN, SMALL_BODY } from '../request/documented.ts';
import { sharingOrigin } from './sharing-origin.ts';

/** What these routes need from the server. */
export interface GrantDeps {
  config: Pick<Config, 'idleSeconds'>;
  engine: Engine;
  identity: Identity;
  quotas: Quotas;
  clock: Clock;
  tokens: Tokens;
}

type FileTarget = Extract<GrantTarget, { kind: 'file' }>;

const tags = ['Sharing'];
/** Maximum length of a prefix, in UTF-16 units: about that of a name. */
const MAX_PREFIX = 1024;

/** Registers the routes of grants. */
export function grantRoutes(app: FastifyInstance, deps: GrantDeps): void {
  app.register(async (json) => createRoute(json, deps));
  listRoute(app, deps);
  revokeRoute(app, deps);
}

function createRoute(app: FastifyInstance, deps: GrantDeps): void {
  const { identity, config } = deps;
  jsonBodies(app);
  app.post<{ Querystring: GrantQuery; Body: NewGrant }>('/api/grants', {
    schema: {
      tags,
      summary: 'Lets another client or person of the tenant read a file, or all files whose names begin with a prefix.',
      querystring: GrantQuery,
      body: NewGrant,
      response: { 201: Grant },
      documented: {
        replies: { 201: ['Cache-Control'] },
        errors: [
          ...SIGNED_IN,
          'forbidden',
          'invalid_name',
          'not_found',
          'not_complete',
          'already_exists',
          ...SMALL_BODY,
          'quota_exceeded',
        ],
      },
    },
    config: { needs: 'files:read', audit: 'grant_created' },
    preParsing: smallBody(config.idleSeconds),
    handler: async (request, reply): Promise<Grant> => {
      const owner = sharedOwner(deps, request, request.query.owner);
      const target = await targetOf(deps, owner, request.body);
      const { tenant, creator } = authorizeShare(deps, request, owner);
      const grantee = granteeOf(deps, tenant, owner, request.body.grantee);
      const seconds = request.body.expires_in ?? null;
      const lifeMs = seconds === null ? null : seconds * 1000;
      const created = await identity.grants.create({ tenant, owner, target, grantee, maker: creator, lifeMs });
      // The file, the creator or the grantee may have been deleted before the grant existed, which did not end the grant.
      const hasTarget = target.kind === 'prefix' || (await exists(deps, owner, target));
      if (!hasTarget || !identity.isGrantValid(created) || !identity.subject(grantee.kind, grantee.id)) {
        await identity.grants.revoke(created.id);
        throw new LadingError(
          'not_found',
          'The file was deleted or replaced during the request, or the grantee was deleted.',
        );
      }
      request.audited = { tenant, target: created.id };
      auditChange(request, NOTHING, grantValues(created, deps.clock));
      reply.code(201).header('cache-control', 'no-store');
      return shown(deps, created, request.principal);
    },
  });
}

/** @throws LadingError `validation_failed`, `invalid_name`, `not_found`, `not_complete` */
async function targetOf(deps: GrantDeps, owner: string, { filename, prefix }: NewGrant): Promise<GrantTarget> {
  if ((filename === undefined) === (prefix === undefined)) {
    throw new LadingError('validation_failed', 'Send either filename or prefix.');
  }
  if (filename !== undefined) {
    const { id: fileId, name } = await completeFile(deps, owner, checkName(filename));
    return { kind: 'file', name, fileId };
  }
  const name = prefix ?? '';
  if (name === '' || name.length > MAX_PREFIX || /[\p{Control}\p{Surrogate}]/u.test(name)) {
    throw new LadingError('invalid_name', `A prefix must have 1 to ${MAX_PREFIX} characters that are valid in names.`);
  }
  return { kind: 'prefix', name };
}

async function exists(deps: GrantDeps, owner: string, { name, fileId }: FileTarget): Promise<boolean> {
  const file = await completeFile(deps, owner, name).catch(() => null);
  return file?.id === fileId;
}

/**
 * The client or person with an id or a name.
 * @throws LadingError `not_found`, also for one of another tenant; `validation_failed` for the owner, and for a name that several have
 */
function granteeOf({ identity }: GrantDeps, tenant: string, owner: string, idOrName: string): Subject {
  const subjects = subjectsNamed(identity, tenant, idOrName).filter((subject) => identity.hasSubject(tenant, subject));
  const [grantee, ...others] = subjects;
  if (grantee === undefined) {
    throw new LadingError('not_found', 'There is no client or person with the id or name in grantee.');
  }
  if (others.length > 0) {
    const detail = 'Several clients or people have this name. Send the id of the grantee instead.';
    throw new LadingError('validation_failed', detail);
  }
  if (ownerKey(tenant, grantee.id) === owner) {
    throw new LadingError('validation_failed', 'The grantee already owns the files.');
  }
  return grantee;
}

function listRoute(app: FastifyInstance, deps: GrantDeps): void {
  const { grants } = deps.identity;
  app.get<{ Querystring: GrantQuery }>('/api/grants', {
    schema: {
      tags,
      summary: 'Lists the grants that you gave and received.',
      querystring: GrantQuery,
      response: { 200: GrantList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: [...SIGNED_IN, 'forbidden'] },
    },
    config: { needs: 'files:read' },
    handler: async (request, reply): Promise<GrantList> => {
      const owner = sharedOwner(deps, request, request.query.owner);
      const id = parseOwnerKey(owner).id;
      const received = grants.received(deps.quotas.groupOf(owner), id);
      reply.header('cache-control', 'no-store');
      const listed = (all: GrantDocument[]): Grant[] => all.map((grant) => shown(deps, grant, request.principal));
      return { given: listed(grants.given(owner)), received: listed(received) };
    },
  });
}

function revokeRoute(app: FastifyInstance, { identity, clock }: GrantDeps): void {
  app.delete<{ Params: { grant_id: string } }>('/api/grants/:grant_id', {
    schema: {
      tags,
      summary: 'Revokes a grant at once and ends its running downloads. For the owner, the grantee and administrators.',
      params: Type.Object({ grant_id: Type.String() }),
      response: { 200: Message },
      documented: { errors: [...SIGNED_IN, 'not_found'] },
    },
    config: { needs: 'files:read', audit: 'grant_revoked' },
    handler: async (request): Promise<Message> => {
      const { principal } = request;
      const grant = identity.grants.get(request.params.grant_id);
      const own = grant?.tenant === principal.tenant && grant.grantee.id === principal.id;
      // Do not reveal grants between other principals.
      if (!grant || !(own || mayEndShare(principal, grant))) {
        throw new LadingError('not_found', 'There is no such grant.');
      }
      request.audited = { tenant: grant.tenant };
      await identity.grants.revoke(grant.id);
      auditChange(request, grantValues(grant, clock), NOTHING);
      return { message: 'The grant is revoked.' };
    },
  });
}

function shown({ identity, clock }: GrantDeps, grant: GrantDocument, principal: Principal): Grant {
  const { id, target, owner, grantee, expiresAt } = grant;
  return {
    grant_id: id,
    kind: target.kind,
    name: target.name,
    ...sharingOrigin(principal, grant),
    owner_name: ownerName(identity, parseOwnerKey(owner).id),
    grantee: grantee.id,
    expires_at: expiresAt === null ? null : iso(clock.dateOf(expiresAt)),
  };
}

/** The name of an owner, which the grantee may see. The name of a grantee is never shown, because anyone may grant to any id. */
function ownerName({ clients, people }: GrantDeps['identity'], id: string): string | null {
  const person = people.get(id);
  return person === null ? (clients.find(id)?.name ?? null) : `${person.name} ${person.surname}`.trim() || null;
}
