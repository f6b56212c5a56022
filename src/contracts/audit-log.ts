/** The door to the audit log. Implementation: `storage/disk`. */
import type { AuditEntry } from '../records/audit.ts';

export interface AuditQuery {
  /** Entries of this tenant; null: of all, and those of nobody's. */
  tenant: string | null;
  /** With a tenant: those of nobody's too. */
  nobodys: boolean;
  /** `nextCursor` of the page before; null for the youngest. */
  before: string | null;
  /** At most so many. */
  limit: number;
  action: string | null;
  principal: string | null;
}

export interface AuditPage {
  /** Youngest first; a page may hold fewer than asked for, none even, while there are more. */
  entries: AuditEntry[];
  nextCursor: string | null;
}

/** What happened, in the order in which it did; nothing in it is ever changed. Implementations: `storage/disk`. */
export interface AuditLog {
  /** Durable when it resolves. `insufficient_storage`; `overloaded` when too much waits to be written. */
  append(entry: AuditEntry): Promise<void>;
  /** Throws `invalid_request` for a cursor that is none. */
  page(query: AuditQuery): Promise<AuditPage>;
  /** When all that was appended is written. */
  close(): Promise<void>;
}
