/** The audit entry of an administrator whom the operator made or gave a new secret, outside of any request. */
import type { Audit } from './audit.ts';
import { changesOf } from './audit-changes.ts';
import type { AdminChange } from './directory/bootstrap.ts';

/**
 * Records the change; the entry is durable when the promise resolves.
 * @param by the command or the setting that made the change
 */
export function recordAdministrator(
  audit: Audit,
  by: string,
  { id, tenant, before, role }: AdminChange,
): Promise<void> {
  const detail = changesOf({ role: before, secret: before && 'old' }, { role, secret: 'new' });
  return audit.record({
    action: before === undefined ? 'client_created' : 'client_renewed',
    outcome: 'ok',
    principal: null,
    tenant,
    address: null,
    target: id,
    detail: `${by}: ${detail}`,
    requestId: null,
  });
}
