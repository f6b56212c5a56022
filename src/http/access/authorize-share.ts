/** Authorizes requests that share files with others, for all routes. */
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

/** The owner of a shared file and the principal that shares it. */
export interface Sharing {
  /** Key of the owner. */
  owner: string;
  /** Tenant of the owner. */
  tenant: string;
  creator: Creator;
}

/**
 * The owner whose files a request shares: the principal, or with `owner=` another owner whose files the role may read.
 * @throws LadingError `forbidden`
 */
export function sharedOwner(
  { quotas }: Pick<SharingDeps, 'quotas'>,
  request: FastifyRequest,
  requested: string | undefined,
): string {
  const owner = ownerOf(request.principal, requested);
  request.audited = { tenant: quotas.groupOf(owner) };
  return owner;
}

/**
 * Authorizes a request to share files of an owner. Links and grants outlive the request, so they depend on its credential: when an API
 * token or a session with reduced scopes ends, they end too.
 * @throws LadingError `insufficient_scope` for a token with reduced scopes that belongs to no session
 */
export function authorizeShare(
  deps: Pick<SharingDeps, 'quotas' | 'identity' | 'tokens'>,
  request: FastifyRequest,
  owner: string,
): Sharing {
  return { owner, tenant: deps.quotas.groupOf(owner), creator: creatorOf(deps, request) };
}

/**
 * The complete file that has a name now.
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
    throw new LadingError('not_complete', 'The file is not complete. Only complete files can be shared.');
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
  throw new LadingError(
    'insufficient_scope',
    'A token with reduced scopes cannot share files. Use a token with all scopes of the account.',
  );
}
