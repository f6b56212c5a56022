/** Who may do what: roles and scopes in, a refusal or nothing out. Everything that is decided about a principal is decided here. */

import { LadingError } from '../../errors.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { SCOPES, type Scope } from '../../protocol/scopes.ts';
import type { Principal, Subject } from '../../records/principal.ts';

export const DEFAULT_TENANT = 'default';

const FILES: readonly Scope[] = ['files:read', 'files:write', 'files:delete'];
/** `calls` is no part of a role: whoever may read and write files has it. */
const ALL: readonly Scope[] = SCOPES.filter((scope) => scope !== 'calls');

/** What a role may do at most. */
export const SCOPES_OF_ROLE: Readonly<Record<Role, ReadonlySet<Scope>>> = {
  client: new Set(FILES),
  ops: new Set(FILES),
  admin: new Set(ALL),
  root: new Set(ALL),
};

/** From least to most: nobody makes a principal that may more than they do. */
const RANK: Readonly<Record<Role, number>> = { client: 0, ops: 1, admin: 2, root: 3 };

/** True when the principal may do what the scope stands for. */
function hasScope({ scopes }: Principal, scope: Scope): boolean {
  if (scopes.has(scope)) return true;
  return scope === 'calls' && scopes.has('files:read') && scopes.has('files:write');
}

/** @throws LadingError `insufficient_scope` */
export function requireScope(principal: Principal, scope: Scope): void {
  if (hasScope(principal, scope)) return;
  throw new LadingError('insufficient_scope', `This needs the scope ${scope}.`, { scope });
}

/** False for API tokens, and for whoever signed in for less than they may: what a role may do and no scope grants is not theirs. */
export function hasRole({ kind, role, scopes }: Principal): boolean {
  return kind !== 'token' && [...SCOPES_OF_ROLE[role]].every((scope) => scopes.has(scope));
}

/**
 * For what a role may do and no scope grants: an API token does not have it, whoever it belongs to.
 * @throws LadingError `insufficient_scope`
 */
export function requireRole(principal: Principal, least: Role): void {
  if (hasRole(principal) && RANK[principal.role] >= RANK[least]) return;
  throw new LadingError('insufficient_scope', `This needs the role ${least}.`);
}

/**
 * For what is of the whole server, whoever's it is: root's alone where there are several tenants. Where there is one, its part is all.
 * @throws LadingError `insufficient_scope`
 */
export function requireServerRole(principal: Principal, least: Role, severalTenants: boolean): void {
  requireRole(principal, least);
  if (!severalTenants || reachesAllTenants(principal)) return;
  throw new LadingError('insufficient_scope', 'This covers all tenants, so it needs the role root.');
}

/** True when the principal may hand out this role. */
export function mayGrantRole(principal: Principal, role: Role): boolean {
  return RANK[principal.role] >= RANK[role];
}

/**
 * True when the principal may enrol and delete clients of this role. A new client has files of its own and nothing else, so the scope
 * is enough; one that sees what others have takes the role.
 */
export function mayEnrol(principal: Principal, role: Role): boolean {
  return role === 'client' || (hasRole(principal) && mayGrantRole(principal, role));
}

/**
 * True when the principal may make, change and delete somebody of this role, and so sign in as them: they must not be able to do
 * anything then that they cannot do already.
 */
export function mayManage(principal: Principal, role: Role): boolean {
  // Who signs in with a password has the whole role, which no API token and no narrowed sign-in has.
  if (!mayGrantRole(principal, role) || (role !== 'client' && !hasRole(principal))) return false;
  return [...SCOPES_OF_ROLE[role]].every((scope) => principal.scopes.has(scope));
}

/**
 * Nobody grants more than they have.
 * @throws LadingError `insufficient_scope` that names what is missing
 */
export function checkGrant(principal: Principal, scopes: readonly Scope[], why = 'you do not have it yourself'): void {
  const missing = scopes.filter((scope) => !hasScope(principal, scope));
  if (missing.length === 0) return;
  throw new LadingError('insufficient_scope', `You cannot grant ${missing.join(', ')}: ${why}.`);
}

/** Whom an API token acts for. */
export interface TokenOwner extends Subject {
  tenant: string;
  role: Role;
}

/**
 * True for one's own API tokens, unless one is such a token oneself; with `tokens:admin` for those of everybody in the tenant who is not
 * above oneself, and of other tenants for `root`.
 */
export function managesTokensOf(principal: Principal, owner: TokenOwner): boolean {
  const { kind, tenant, role, scopes } = principal;
  if (kind === owner.kind && principal.id === owner.id) return true;
  const near = tenant === owner.tenant || (role === 'root' && hasRole(principal));
  return near && scopes.has('tokens:admin') && mayGrantRole(principal, owner.role);
}

/**
 * The tenant that a request is about: one's own, or for `root` any.
 * @throws LadingError `forbidden`
 */
export function tenantOf(principal: Principal, asked: string | undefined): string {
  if (asked === undefined || asked === principal.tenant) return principal.tenant;
  if (principal.role === 'root' && hasRole(principal)) return asked;
  throw new LadingError('forbidden', 'Only root may name another tenant.');
}

/**
 * Whose files a request is about: one's own, or with `owner=` anyone's in the tenant for `admin`, and for reading for `ops`. The key is
 * what the engine knows: ids hold no slash, so that no owner of one tenant can be taken for one of another.
 * @throws LadingError `forbidden`, the same whether that owner or file exists or not
 */
export function ownerOf(principal: Principal, asked?: string, scope: Scope = 'files:read'): string {
  if (asked === undefined || asked === principal.id) return ownerKey(principal.tenant, principal.id);
  const { role } = principal;
  // An API token works on the files of its owner, and a sign-in for less is no administrator's.
  if (!hasRole(principal)) throw new LadingError('forbidden', 'Only an administrator may name another owner.');
  if (role === 'admin' || (role === 'ops' && scope === 'files:read')) return ownerKey(principal.tenant, asked);
  if (role === 'root') {
    const slash = asked.indexOf('/');
    if (slash === -1) return ownerKey(principal.tenant, asked);
    return ownerKey(tenantOf(principal, asked.slice(0, slash)), asked.slice(slash + 1));
  }
  throw new LadingError('forbidden', 'Only an administrator may name another owner.');
}

/** True for one's own files, and those that one's role may read: what `ownerOf` lets through for reading, of an owner known to the engine. */
export function mayRead(principal: Principal, owner: string): boolean {
  const { tenant, id, role } = principal;
  if (owner === ownerKey(tenant, id)) return true;
  if (!hasRole(principal)) return false;
  return role === 'root' || (RANK[role] >= RANK.ops && parseOwnerKey(owner).tenant === tenant);
}

/** True for who made what is shared, whose file it is, and for administrators who may delete the file. */
export function mayEndShare(principal: Principal, { maker, owner }: { maker: Subject; owner: string }): boolean {
  if (owner === ownerKey(principal.tenant, principal.id)) return true;
  if (principal.kind === maker.kind && principal.id === maker.id) return true;
  return RANK[principal.role] >= RANK.admin && mayRead(principal, owner);
}

/** Who made what is shared: null for an owner, a grantee or a program that is not that maker and sees nobody else. */
export function visibleCreator(
  principal: Principal,
  { maker, owner }: { maker: Subject; owner: string },
): string | null {
  const seesOthers = hasRole(principal) && RANK[principal.role] >= RANK.ops;
  return seesOthers || maker.id === principal.id || maker.id === parseOwnerKey(owner).id ? maker.id : null;
}

/** Files of the default tenant are kept under the bare id, as they were before there were tenants. */
export function ownerKey(tenant: string, id: string): string {
  if (id.includes('/')) throw new LadingError('forbidden', 'Only an administrator may name another owner.');
  return tenant === DEFAULT_TENANT ? id : `${tenant}/${id}`;
}

/** Whose key it is, of an owner that the engine knows: `ownerKey` the other way round. */
export function parseOwnerKey(owner: string): { tenant: string; id: string } {
  const slash = owner.indexOf('/');
  if (slash === -1) return { tenant: DEFAULT_TENANT, id: owner };
  return { tenant: owner.slice(0, slash), id: owner.slice(slash + 1) };
}

/**
 * Whose happenings somebody may follow: null of all, else of a tenant, and there of all owners (null) or of one key.
 */
export function eventScopeOf(principal: Principal): { tenant: string; owner: string | null } | null {
  if (reachesAllTenants(principal)) return null;
  const { tenant, role, id } = principal;
  const all = hasRole(principal) && RANK[role] >= RANK.ops;
  return { tenant, owner: all ? null : ownerKey(tenant, id) };
}

/** True when the principal sees where files are sent on to, and why that failed: administrators with their whole role. */
export function maySeeTargets(principal: Principal): boolean {
  return hasRole(principal) && RANK[principal.role] >= RANK.admin;
}

/** True when the principal hears of refusals: administrators with their whole role. */
export function maySeeRefusals(principal: Principal): boolean {
  return hasRole(principal) && RANK[principal.role] >= RANK.admin;
}

/**
 * For what outlives a sign-in, as an API token does: whoever has less than their role needs the scope for it.
 * @throws LadingError `insufficient_scope`
 */
export function requireFullRoleOrScope(principal: Principal, scope: Scope): void {
  if (!hasRole(principal)) requireScope(principal, scope);
}

/**
 * Nobody revokes what may more than they may, but what is their own with the whole role.
 * @throws LadingError `insufficient_scope` that names what is missing
 */
export function checkRevocation(principal: Principal, owner: Subject, scopes: readonly Scope[]): void {
  const own = principal.kind === owner.kind && principal.id === owner.id;
  const missing = own && hasRole(principal) ? [] : scopes.filter((scope) => !hasScope(principal, scope));
  if (missing.length === 0) return;
  throw new LadingError(
    'insufficient_scope',
    `You cannot revoke this token: it has ${missing.join(', ')}, you do not.`,
  );
}

/** True for `root` with its whole role. */
export function reachesAllTenants(principal: Principal): boolean {
  return principal.role === 'root' && hasRole(principal);
}

/** True for who and what is in one's own tenant, and for `root` with its whole role in any. */
export function reachesTenant(principal: Principal, tenant: string): boolean {
  return principal.tenant === tenant || reachesAllTenants(principal);
}
