/** Records an administrator that the operator created or renewed without a request. */
import type { Audit } from './audit.ts';
import { describeChanges } from './audit-changes.ts';
import type { AdminChange } from './directory/bootstrap.ts';

/**
 * Records the change in the audit log. Durable when it resolves.
 * @param by the command or setting that made the change
 */
export function recordAdministrator(
  audit: Audit,
  by: string,
  { id, tenant, before, role }: AdminChange,
): Promise<void> {
  const detail = describeChanges({ role: before, secret: before && 'old' }, { role, secret: 'new' });
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
