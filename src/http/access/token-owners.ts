/** Whom API tokens act for, and what they are called: by ids of clients and people, and by labels that are nobody's id. */
import type { FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { managesTokensOf, reachesTenant, requireScope, type TokenOwner } from '../../identity/rights/policy.ts';
import { MAX_LABEL } from '../../protocol/schemas/identity/token.ts';
import type { ApiTokenDocument } from '../../records/credentials.ts';
import type { Principal } from '../../records/principal.ts';
import { credentialOf } from './bearer.ts';

/** What a token may do if its maker does not say. */
export const READ_AND_WRITE = ['read', 'write'] as const;
/** What it is called then. */
export const DEFAULT_LABEL = 'default_user';

/**
 * Whose tokens a request is about: by default one's own.
 * @throws LadingError `insufficient_scope`; `not_found` for one of another tenant or above oneself too
 */
export function ownerFor(identity: Identity, principal: Principal, asked: string | undefined): TokenOwner {
  const { id, kind } = principal;
  const self = asked === undefined || asked === id;
  if (kind === 'token' || !self) requireScope(principal, 'tokens:admin');
  const owner = self && kind !== 'token' ? ownerOf(identity, kind, id) : anyOwner(identity, asked ?? id);
  if (!owner || !managesTokensOf(principal, owner)) throw noOwner();
  return owner;
}

export function managesToken(identity: Identity, principal: Principal, document: ApiTokenDocument): boolean {
  const owner = currentOwnerOf(identity, document);
  return owner !== null && managesTokensOf(principal, owner);
}

export function currentOwnerOf(identity: Identity, document: ApiTokenDocument): TokenOwner | null {
  return ownerOf(identity, document.ownerKind, document.owner);
}

function anyOwner(identity: Identity, id: string): TokenOwner | null {
  return ownerOf(identity, 'device', id) ?? ownerOf(identity, 'person', id);
}

/** From the documents, for being asked about is no use of an account. */
function ownerOf(identity: Identity, kind: TokenOwner['kind'], id: string): TokenOwner | null {
  const found = kind === 'device' ? identity.clients.find(id) : identity.people.get(id);
  if (!found || !identity.tenants.has(found.tenant)) return null;
  return { id, kind, tenant: found.tenant, role: found.role };
}

/**
 * Whom a new token acts for, and what it is called: a text that is nobody's id is a label of one's own tokens.
 * @throws LadingError as `ownerFor`; `validation_failed`
 */
export function namedOwner(
  identity: Identity,
  principal: Principal,
  asked: string | null | undefined,
): { owner: TokenOwner; label?: string } {
  const label = asked ?? DEFAULT_LABEL;
  if (asked === principal.id || isSomebody(identity, principal, label)) {
    return { owner: ownerFor(identity, principal, label) };
  }
  return { owner: ownerFor(identity, principal, undefined), label: checkLabel(label) };
}

/** @throws LadingError `validation_failed` */
export function checkLabel(label: string): string {
  if (label.length <= MAX_LABEL && !/[\p{Cc}\p{Cs}]/u.test(label)) return label;
  throw new LadingError(
    'validation_failed',
    `user_id must be at most ${MAX_LABEL} characters, none of them a control character.`,
  );
}

/** True for the id of somebody whom the principal may know of. In another tenant it is a text like any other. */
function isSomebody(identity: Identity, principal: Principal, id: string): boolean {
  const found = anyOwner(identity, id);
  return found !== null && reachesTenant(principal, found.tenant);
}

/**
 * Those that a list is about, valid or not: all, or by id or label.
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
  if (!self && (!isSomebody(identity, principal, wanted) || (labelled.length > 0 && !all))) return labelled;
  const owner = ownerFor(identity, principal, wanted);
  return [...new Set([...apiTokens.list(owner.tenant, owner.id), ...labelled])];
}

/** The API token that a request came with. */
export function tokenOf(identity: Identity, request: FastifyRequest): ApiTokenDocument | null {
  if (request.principal.kind !== 'token') return null;
  return identity.apiTokens.findUnrevoked(credentialOf(request) ?? '');
}

/** What who asks is called: of an API token its label, if it has one. */
export function userIdOf(identity: Identity, request: FastifyRequest): string {
  return tokenOf(identity, request)?.label ?? request.principal.id;
}

export function wordsOf({ words, scopes }: ApiTokenDocument): string[] {
  return words ?? scopes;
}

export function noOwner(): LadingError {
  return new LadingError('not_found', 'There is no client and no person with this id.');
}
