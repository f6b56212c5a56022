/** Entries of the audit log, as they are stored. */
import type { PrincipalKind } from './principal.ts';

/** One action, performed or refused. It contains no secrets. */
export interface AuditEntry {
  time: number;
  /** `sign_in`, `client_created`, …; `refusal` for a refused request. */
  action: string;
  outcome: 'ok' | 'refused';
  /** Id of the principal; null: unknown. */
  principal: string | null;
  kind: PrincipalKind | null;
  tenant: string | null;
  address: string | null;
  /** The object of the action. */
  target: string | null;
  detail: string | null;
  requestId: string | null;
  /** Number of occurrences since `time`: actions that repeat within seconds share one entry. */
  count: number;
}
