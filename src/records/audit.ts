/** Entries of the audit log, as they are stored. */
import type { PrincipalKind } from './principal.ts';

/** One thing that somebody did or was refused. Nothing in it is secret. */
export interface AuditEntry {
  time: number;
  /** What was done: `sign_in`, `client_created`, …; `refusal` for what was not. */
  action: string;
  outcome: 'ok' | 'refused';
  /** Who; null: nobody knows. */
  principal: string | null;
  kind: PrincipalKind | null;
  tenant: string | null;
  address: string | null;
  /** What it was done to. */
  target: string | null;
  detail: string | null;
  requestId: string | null;
  /** How often, since `time`: what repeats itself is one entry. */
  count: number;
}
