/** Where it is decided, for all routes, whether somebody may share a file with others, and on what that rests. */
import type { FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import { ApiTokens } from '../../identity/credentials/api-tokens.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Quotas } from '../../identity/quotas.ts';
import { ownerOf } from '../../identity/rights/policy.ts';
import type { Creator } from '../../records/principal.ts';
import { credentialOf } from './bearer.ts';

/** What these functions need from the server. */
export interface SharingDeps {
  engine: Engine;
  identity: Identity;
  quotas: Quotas;
  tokens: Tokens;
}

/** Whose file is shared, and who does it with what right. */
export interface Sharing {
  /** As the engine knows it. */
  owner: string;
  /** Tenant of the owner. */
  tenant: string;
  creator: Creator;
}

/**
 * Whose files a request to share is about: one's own, or with `owner=` those that one may read by one's role.
 * @throws LadingError `forbidden`
 */
export function sharedOwner(
  { quotas }: Pick<SharingDeps, 'quotas'>,
  request: FastifyRequest,
  asked: string | undefined,
): string {
  const owner = ownerOf(request.principal, asked);
  request.audited = { tenant: quotas.groupOf(owner) };
  return owner;
}

/**
 * Lets somebody share files of this owner, or refuses: the one place for it. What is shared outlives the request, so it rests on what the
 * request came with: an API token or a sign-in for less than its subject may takes along what was shared with it when it ends.
 * @throws LadingError `insufficient_scope` for a sign-in for less that cannot be told from others
 */
export function authorizeShare(
  deps: Pick<SharingDeps, 'quotas' | 'identity' | 'tokens'>,
  request: FastifyRequest,
  owner: string,
): Sharing {
  return { owner, tenant: deps.quotas.groupOf(owner), creator: creatorOf(deps, request) };
}

/**
 * The complete file of a name, as it is now.
 * @throws LadingError `not_found`, `not_complete`
 */
export async function completeFile(
  { engine }: Pick<SharingDeps, 'engine'>,
  owner: string,
  name: string,
): Promise<{ id: string; name: string; size: number }> {
  const opened = await engine.open(owner, name);
  try {
    if (opened.state() === 'sealed') return { id: opened.id, name, size: opened.size ?? 0 };
    throw new LadingError('not_complete', 'The file is still arriving; a complete one can be shared.');
  } finally {
    opened.release();
  }
}

function creatorOf({ identity, tokens }: Pick<SharingDeps, 'identity' | 'tokens'>, request: FastifyRequest): Creator {
  const token = credentialOf(request) ?? '';
  if (ApiTokens.looksLike(token)) {
    const document = identity.apiTokens.findLive(token);
    if (!document) throw new LadingError('unauthorized', 'The API token is invalid, expired or revoked.');
    const { owner: id, ownerKind: kind } = document;
    return { id, kind, through: { kind: 'api-token', id: document.id } };
  }
  const { claims } = tokens.inspect(token);
  const creator: Creator = { id: claims.sub, kind: claims.kind };
  if (claims.scope === undefined) return creator;
  if (claims.sid !== undefined) return { ...creator, through: { kind: 'sign-in', id: claims.sid } };
  throw new LadingError('insufficient_scope', 'Who signed in for less than they may cannot share anything that lasts.');
}
