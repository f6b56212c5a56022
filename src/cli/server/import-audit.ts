/** Audit entries of `lading import`. */
import type { OfflineIdentity } from '../../compose/offline-identity.ts';
import { describeChanges, NOTHING, targetValues } from '../../identity/audit-changes.ts';
import { DEFAULT_TENANT } from '../../identity/rights/policy.ts';
import type { Role } from '../../protocol/schemas/role.ts';

type WithAudit = Pick<OfflineIdentity, 'audit'>;
type Target = Parameters<typeof targetValues>[0];

/** Records a client that `lading import` created. Durable when it resolves. */
export function recordImportedClient({ audit }: WithAudit, id: string, role: Role): Promise<void> {
  return audit.record({ ...entryOf('client_created', id), detail: detailOf(describeChanges(NOTHING, { role })) });
}

/** Records a delivery target that `lading import` created. Durable when it resolves. */
export function recordImportedTarget({ audit }: WithAudit, target: Target): Promise<void> {
  return audit.record({
    ...entryOf('target_created', target.id),
    detail: detailOf(describeChanges(NOTHING, targetValues(target))),
  });
}

function entryOf(action: 'client_created' | 'target_created', target: string) {
  return {
    action,
    outcome: 'ok' as const,
    principal: null,
    tenant: DEFAULT_TENANT,
    address: null,
    target,
    requestId: null,
  };
}

function detailOf(changes: string | null): string {
  return `lading import: ${changes ?? ''}`;
}
