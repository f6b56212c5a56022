/** Builds principals from the documents of devices and people. */

import type { Role } from '../../protocol/schemas/role.ts';
import type { Scope } from '../../protocol/scopes.ts';
import type { Principal, PrincipalKind } from '../../records/principal.ts';
import { SCOPES_OF_ROLE } from '../rights/policy.ts';

/**
 * A principal with the scopes that its role allows.
 * @param scopes reduced scopes of the credential, if any. Every role may have `calls`.
 */
export function principalOf(
  who: { id: string; tenant: string; kind: PrincipalKind; role: Role },
  scopes?: Iterable<Scope>,
): Principal {
  const allowed = SCOPES_OF_ROLE[who.role];
  const held =
    scopes === undefined ? allowed : new Set([...scopes].filter((scope) => allowed.has(scope) || scope === 'calls'));
  return Object.freeze({ id: who.id, tenant: who.tenant, kind: who.kind, role: who.role, scopes: held });
}
