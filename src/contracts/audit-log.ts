/** The interface of the audit log. Implementation: `storage/disk`. */
import type { AuditEntry } from '../records/audit.ts';

/** Selects one page of the log. */
export interface AuditQuery {
  /** Only entries of this tenant; null: all entries, including those without a tenant. */
  tenant: string | null;
  /** With a tenant: also entries without a tenant. */
  includeTenantless: boolean;
  /** `nextCursor` of the previous page; null for the newest entries. */
  before: string | null;
  /** Maximum number of entries. */
  limit: number;
  action: string | null;
  principal: string | null;
}

export interface AuditPage {
  /** Newest first. A page may have fewer entries than `limit`, or none, although older ones exist. */
  entries: AuditEntry[];
  nextCursor: string | null;
}

/** An append-only log of actions. */
export interface AuditLog {
  /** Durable when it resolves. Throws `insufficient_storage`, and `overloaded` if too many entries wait to be written. */
  append(entry: AuditEntry): Promise<void>;
  /** Throws `invalid_request` for an invalid cursor. */
  page(query: AuditQuery): Promise<AuditPage>;
  /** Resolves when all appended entries are written. */
  close(): Promise<void>;
}
