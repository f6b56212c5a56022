/** Finds the owners of API tokens: by the ids of clients and people, and by labels, which are not ids. */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { managesTokensOf, reachesTenant, requireScope, type TokenOwner } from '../../identity/rights/policy.ts';
import { MAX_LABEL } from '../../protocol/schemas/identity/token.ts';
import type { ApiTokenDocument } from '../../records/credentials.ts';
import type { Principal } from '../../records/principal.ts';
import { credentialOf } from './bearer.ts';

/** The permissions of a token if the request names none. */
export const READ_AND_WRITE = ['read', 'write'] as const;
/** The label of a token if the request names none. */
export const DEFAULT_LABEL = 'default_user';

/**
 * The owner whose tokens a request manages; the principal itself by default.
 * @throws LadingError `insufficient_scope`; `not_found` also for an owner in another tenant or with a higher role
 */
export function ownerFor(identity: Identity, principal: Principal, requested: string | undefined): TokenOwner {
  const { id, kind } = principal;
  const self = requested === undefined || requested === id;
  if (kind === 'token' || !self) requireScope(principal, 'tokens:admin');
  const owner = self && kind !== 'token' ? ownerOf(identity, kind, id) : anyOwner(identity, requested ?? id);
  if (!owner || !managesTokensOf(principal, owner)) throw noOwner();
  return owner;
}

/** True if the principal may manage a token. */
export function managesToken(identity: Identity, principal: Principal, document: ApiTokenDocument): boolean {
  const owner = currentOwnerOf(identity, document);
  return owner !== null && managesTokensOf(principal, owner);
}

/** The owner of a token as it is now; null if it has been deleted. */
export function currentOwnerOf(identity: Identity, document: ApiTokenDocument): TokenOwner | null {
  return ownerOf(identity, document.ownerKind, document.owner);
}

function anyOwner(identity: Identity, id: string): TokenOwner | null {
  return ownerOf(identity, 'device', id) ?? ownerOf(identity, 'person', id);
}

/** Reads the documents directly, because a lookup is not a use of the account. */
function ownerOf(identity: Identity, kind: TokenOwner['kind'], id: string): TokenOwner | null {
  const found = kind === 'device' ? identity.clients.find(id) : identity.people.get(id);
  if (!found || !identity.tenants.has(found.tenant)) return null;
  return { id, kind, tenant: found.tenant, role: found.role };
}

/**
 * The owner and the label of a new token. A text that is not an id becomes the label of a token of the principal.
 * @throws LadingError as `ownerFor`; `validation_failed`
 */
export function namedOwner(
  identity: Identity,
  principal: Principal,
  requested: string | null | undefined,
): { owner: TokenOwner; label?: string } {
  const label = requested ?? DEFAULT_LABEL;
  if (requested === principal.id || isKnownSubject(identity, principal, label)) {
    return { owner: ownerFor(identity, principal, label) };
  }
  return { owner: ownerFor(identity, principal, undefined), label: checkLabel(label) };
}

/**
 * Returns a valid label.
 * @throws LadingError `validation_failed`
 */
export function checkLabel(label: string): string {
  if (label.length <= MAX_LABEL && !/[\p{Cc}\p{Cs}]/u.test(label)) return label;
  throw new LadingError(
    'validation_failed',
    `user_id must have at most ${MAX_LABEL} characters and no control characters.`,
  );
}

/** True for the id of a client or person that the principal may see. An id of another tenant counts as a label. */
function isKnownSubject(identity: Identity, principal: Principal, id: string): boolean {
  const found = anyOwner(identity, id);
  return found !== null && reachesTenant(principal, found.tenant);
}

/**
 * The tokens of a list, valid or not: all, or those of an id or a label.
 * @throws LadingError as `ownerFor`
 */
export function listedTokens(identity: Identity, principal: Principal, wanted: string | undefined): ApiTokenDocument[] {
  const { apiTokens } = identity;
  const all = principal.scopes.has('tokens:admin');
  if (wanted === undefined && all) return apiTokens.list(principal.tenant, null);
  const self = wanted === undefined || wanted === principal.id;
  const labelled = self
    ? []
    : apiTokens
        .list(principal.tenant, all ? null : ownerFor(identity, principal, undefined).id)
        .filter(({ label }) => label === wanted);
  if (!self && (!isKnownSubject(identity, principal, wanted) || (labelled.length > 0 && !all))) return labelled;
  const owner = ownerFor(identity, principal, wanted);
  return [...new Set([...apiTokens.list(owner.tenant, owner.id), ...labelled])];
}

/** The API token of the request; null if it was signed in another way. */
export function tokenOf(identity: Identity, request: FastifyRequest): ApiTokenDocument | null {
  if (request.principal.kind !== 'token') return null;
  return identity.apiTokens.findUnrevoked(credentialOf(request) ?? '');
}

/** The `user_id` of the principal: the label of an API token if it has one, or the id. */
export function userIdOf(identity: Identity, request: FastifyRequest): string {
  return tokenOf(identity, request)?.label ?? request.principal.id;
}

/** The permissions of a token as its creator named them. */
export function wordsOf({ words, scopes }: ApiTokenDocument): string[] {
  return words ?? scopes;
}

/** The error for an unknown owner. */
export function noOwner(): LadingError {
  return new LadingError('not_found', 'There is no client and no person with this id.');
}
