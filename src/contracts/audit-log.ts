/** The interface of the audit log. Implementation: `storage/disk`. */
import type { AuditEntry } from '../records/audit.ts';

export interface AuditQuery {
  /** Only entries of this tenant; null: entries of all tenants and of none. */
  tenant: string | null;
  /** With a tenant: also entries that belong to no tenant. */
  includeTenantless: boolean;
  /** `nextCursor` of the previous page; null for the newest entries. */
  before: string | null;
  /** Maximum number of entries. */
  limit: number;
  action: string | null;
  principal: string | null;
}

export interface AuditPage {
  /** Newest first. A page may hold fewer entries than asked for, or none, although older ones exist. */
  entries: AuditEntry[];
  nextCursor: string | null;
}

/** A log of what happened, in order. Entries never change. */
export interface AuditLog {
  /** Durable when it resolves. Throws `insufficient_storage`, and `overloaded` when too many entries wait to be written. */
  append(entry: AuditEntry): Promise<void>;
  /** Throws `invalid_request` for an invalid cursor. */
  page(query: AuditQuery): Promise<AuditPage>;
  /** Resolves when all appended entries are written. */
  close(): Promise<void>;
}
