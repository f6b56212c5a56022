/** The audit entry of an administrator who was made, or given a new secret, by whoever runs the server. */
import type { Audit } from '../../identity/audit.ts';
import type { AdminChange } from '../../identity/directory/bootstrap.ts';
import { changesOf } from '../observe/audit-changes.ts';

/** Durable when it resolves. @param by the command or the setting that did it */
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
