/** The audit log. For administrators. */
import type { AuditPage, AuditRecord } from '../../protocol/schemas/audit.ts';
import { type AdminOptions, type JsonRequest, yieldPages } from './json-request.ts';

/** Filters for the audit log. */
export interface AuditOptions extends AdminOptions {
  action?: string | undefined;
  /** Only actions of this principal. */
  principal?: string | undefined;
  /** Maximum number of entries; all by default. */
  limit?: number | undefined;
}

/** Yields audit entries, newest first. Requests pages as needed. */
export function auditOf(request: JsonRequest, options: AuditOptions = {}): AsyncGenerator<AuditRecord> {
  const { signal, limit, ...filter } = options;
  return yieldPages(async (page) => {
    const { entries, next_cursor: next } = await request<AuditPage>('GET', 'api/audit', {
      query: { ...filter, ...page },
      signal,
    });
    return { entries, next };
  }, limit);
}
