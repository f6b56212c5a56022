/** Access policy: what roles and scopes allow. Every decision about a principal is made here. */

import { LadingError } from '../../errors.ts';
import type { Role } from '../../protocol/schemas/role.ts';
import { SCOPES, type Scope } from '../../protocol/scopes.ts';
import type { Principal, Subject } from '../../records/principal.ts';

/** The tenant that always exists. */
export const DEFAULT_TENANT = 'default';

const FILES: readonly Scope[] = ['files:read', 'files:write', 'files:delete'];
/** `calls` is not part of a role: `files:read` and `files:write` together imply it. */
const ALL: readonly Scope[] = SCOPES.filter((scope) => scope !== 'calls');

/** Maximum scopes of each role. */
export const SCOPES_OF_ROLE: Readonly<Record<Role, ReadonlySet<Scope>>> = {
  client: new Set(FILES),
  ops: new Set(FILES),
  admin: new Set(ALL),
  root: new Set(ALL),
};

/** Rank of each role. A principal cannot create another of a higher rank. */
const RANK: Readonly<Record<Role, number>> = { client: 0, ops: 1, admin: 2, root: 3 };

/** True if the principal has the scope. */
function hasScope({ scopes }: Principal, scope: Scope): boolean {
  if (scopes.has(scope)) return true;
  return scope === 'calls' && scopes.has('files:read') && scopes.has('files:write');
}

/** @throws LadingError `insufficient_scope` */
export function requireScope(principal: Principal, scope: Scope): void {
  if (hasScope(principal, scope)) return;
  throw new LadingError('insufficient_scope', `This requires the scope ${scope}.`, { scope });
}

/** False for API tokens and for tokens with reduced scopes: they lack the rights that come with the role alone. */
export function hasRole({ kind, role, scopes }: Principal): boolean {
  return kind !== 'token' && [...SCOPES_OF_ROLE[role]].every((scope) => scopes.has(scope));
}

/**
 * For rights that come with the role alone. API tokens never have them.
 * @throws LadingError `insufficient_scope`
 */
export function requireRole(principal: Principal, minimum: Role): void {
  if (hasRole(principal) && RANK[principal.role] >= RANK[minimum]) return;
  throw new LadingError('insufficient_scope', `This requires the role ${minimum}.`);
}

/**
 * For actions that affect the whole server. With several tenants they require the role root.
 * @throws LadingError `insufficient_scope`
 */
export function requireServerRole(principal: Principal, minimum: Role, severalTenants: boolean): void {
  requireRole(principal, minimum);
  if (!severalTenants || reachesAllTenants(principal)) return;
  throw new LadingError('insufficient_scope', 'This affects all tenants, so it requires the role root.');
}

/** True if the principal may assign this role. */
export function mayGrantRole(principal: Principal, role: Role): boolean {
  return RANK[principal.role] >= RANK[role];
}

/**
 * True if the principal may enrol and delete devices of this role. A device with the role `client` sees only its own files, so the scope
 * is sufficient. Devices with other roles see files of others, so the principal needs its full role.
 */
export function mayEnrol(principal: Principal, role: Role): boolean {
  return role === 'client' || (hasRole(principal) && mayGrantRole(principal, role));
}

/**
 * True if the principal may create, change and delete a principal of this role. It could then sign in as that principal, which must not
 * give it any new rights.
 */
export function mayManage(principal: Principal, role: Role): boolean {
  // A password gives the full role, which API tokens and tokens with reduced scopes do not have.
  if (!mayGrantRole(principal, role) || (role !== 'client' && !hasRole(principal))) return false;
  return [...SCOPES_OF_ROLE[role]].every((scope) => principal.scopes.has(scope));
}

/**
 * Checks that the principal has every scope that it grants.
 * @throws LadingError `insufficient_scope` that names the missing scopes
 */
export function checkGrant(principal: Principal, scopes: readonly Scope[], why = 'you do not have it yourself'): void {
  const missing = scopes.filter((scope) => !hasScope(principal, scope));
  if (missing.length === 0) return;
  throw new LadingError('insufficient_scope', `You cannot grant ${missing.join(', ')}: ${why}.`);
}

/** The principal that an API token acts for. */
export interface TokenOwner extends Subject {
  tenant: string;
  role: Role;
}

/**
 * True if the principal may manage the API tokens of this owner. It may manage its own, unless it is an API token itself. With
 * `tokens:admin` it may also manage those of principals of the tenant with the same or a lower rank; `root`, those of every tenant.
 */
export function managesTokensOf(principal: Principal, owner: TokenOwner): boolean {
  const { kind, tenant, role, scopes } = principal;
  if (kind === owner.kind && principal.id === owner.id) return true;
  const inReach = tenant === owner.tenant || (role === 'root' && hasRole(principal));
  return inReach && scopes.has('tokens:admin') && mayGrantRole(principal, owner.role);
}

/**
 * The tenant of a request: the principal's own, or any for `root`.
 * @throws LadingError `forbidden`
 */
export function tenantOf(principal: Principal, requested: string | undefined): string {
  if (requested === undefined || requested === principal.tenant) return principal.tenant;
  if (principal.role === 'root' && hasRole(principal)) return requested;
  throw new LadingError('forbidden', 'Only root may name another tenant.');
}

/**
 * The owner key of a request: the principal's own. With `owner=`, `admin` may name any owner of the tenant, and `ops` too for reading.
 * Ids contain no slash, so an owner of one tenant cannot be mistaken for one of another.
 * @throws LadingError `forbidden`, whether or not the owner or file exists
 */
export function ownerOf(principal: Principal, requested?: string, scope: Scope = 'files:read'): string {
  if (requested === undefined || requested === principal.id) return ownerKey(principal.tenant, principal.id);
  const { role } = principal;
  // API tokens work on their owner's files only, and tokens with reduced scopes have no administrator rights.
  if (!hasRole(principal)) throw new LadingError('forbidden', 'Only an administrator may name another owner.');
  if (role === 'admin' || (role === 'ops' && scope === 'files:read')) return ownerKey(principal.tenant, requested);
  if (role === 'root') {
    const slash = requested.indexOf('/');
    if (slash === -1) return ownerKey(principal.tenant, requested);
    return ownerKey(tenantOf(principal, requested.slice(0, slash)), requested.slice(slash + 1));
  }
  throw new LadingError('forbidden', 'Only an administrator may name another owner.');
}

/** True for the principal's own files and those that its role may read. Consistent with `ownerOf` for reading. @param owner owner key */
export function mayRead(principal: Principal, owner: string): boolean {
  const { tenant, id, role } = principal;
  if (owner === ownerKey(tenant, id)) return true;
  if (!hasRole(principal)) return false;
  return role === 'root' || (RANK[role] >= RANK.ops && parseOwnerKey(owner).tenant === tenant);
}

/** True for the creator of a share link or grant, the owner of the file, and administrators who may delete the file. */
export function mayEndShare(principal: Principal, { maker, owner }: { maker: Subject; owner: string }): boolean {
  if (owner === ownerKey(principal.tenant, principal.id)) return true;
  if (principal.kind === maker.kind && principal.id === maker.id) return true;
  return RANK[principal.role] >= RANK.admin && mayRead(principal, owner);
}

/** Id of the creator of a share link or grant; null if the principal may not see it. */
export function visibleCreator(
  principal: Principal,
  { maker, owner }: { maker: Subject; owner: string },
): string | null {
  const seesOthers = hasRole(principal) && RANK[principal.role] >= RANK.ops;
  return seesOthers || maker.id === principal.id || maker.id === parseOwnerKey(owner).id ? maker.id : null;
}

/** Key by which the engine stores an owner's files. In the default tenant it is the bare id, as before tenants existed. */
export function ownerKey(tenant: string, id: string): string {
  if (id.includes('/')) throw new LadingError('forbidden', 'Only an administrator may name another owner.');
  return tenant === DEFAULT_TENANT ? id : `${tenant}/${id}`;
}

/** Tenant and id of an owner key: the inverse of `ownerKey`. */
export function parseOwnerKey(owner: string): { tenant: string; id: string } {
  const slash = owner.indexOf('/');
  if (slash === -1) return { tenant: DEFAULT_TENANT, id: owner };
  return { tenant: owner.slice(0, slash), id: owner.slice(slash + 1) };
}

/**
 * Which events a principal may receive: all (null), or those of a tenant and there of all owners (null) or of one owner key.
 */
export function eventScopeOf(principal: Principal): { tenant: string; owner: string | null } | null {
  if (reachesAllTenants(principal)) return null;
  const { tenant, role, id } = principal;
  const all = hasRole(principal) && RANK[role] >= RANK.ops;
  return { tenant, owner: all ? null : ownerKey(tenant, id) };
}

/** True if the principal may see delivery targets and why deliveries failed: administrators with their full role. */
export function maySeeTargets(principal: Principal): boolean {
  return hasRole(principal) && RANK[principal.role] >= RANK.admin;
}

/** True if the principal receives events about refusals: administrators with their full role. */
export function maySeeRefusals(principal: Principal): boolean {
  return hasRole(principal) && RANK[principal.role] >= RANK.admin;
}

/**
 * For creating things that outlive a session, such as API tokens: a token with reduced scopes needs the scope for it.
 * @throws LadingError `insufficient_scope`
 */
export function requireFullRoleOrScope(principal: Principal, scope: Scope): void {
  if (!hasRole(principal)) requireScope(principal, scope);
}

/**
 * Checks that the principal has every scope of the token it revokes. With its full role, its own tokens are exempt.
 * @throws LadingError `insufficient_scope` that names the missing scopes
 */
export function checkRevocation(principal: Principal, owner: Subject, scopes: readonly Scope[]): void {
  const own = principal.kind === owner.kind && principal.id === owner.id;
  const missing = own && hasRole(principal) ? [] : scopes.filter((scope) => !hasScope(principal, scope));
  if (missing.length === 0) return;
  throw new LadingError(
    'insufficient_scope',
    `You cannot revoke this token: it has ${missing.join(', ')}, which you do not have.`,
  );
}

/** True for `root` with its full role. */
export function reachesAllTenants(principal: Principal): boolean {
  return principal.role === 'root' && hasRole(principal);
}

/** True for the principal's own tenant, and for every tenant if it is `root` with its full role. */
export function reachesTenant(principal: Principal, tenant: string): boolean {
  return principal.tenant === tenant || reachesAllTenants(principal);
}
