/** The audit log. For administrators. */
import type { AuditPage, AuditRecord } from '../../protocol/schemas/audit.ts';
import { type AdminOptions, type JsonRequest, MAX_PAGE } from './json-request.ts';

export interface AuditOptions extends AdminOptions {
  action?: string | undefined;
  /** Only actions of this principal. */
  principal?: string | undefined;
  /** Maximum number of entries; all by default. */
  limit?: number | undefined;
}

/** Yields audit entries, newest first. Requests pages as needed. */
export async function* auditOf(ask: JsonRequest, options: AuditOptions = {}): AsyncGenerator<AuditRecord> {
  const { signal, limit = Number.POSITIVE_INFINITY, ...which } = options;
  let left = limit;
  let cursor: string | undefined;
  do {
    const query = { ...which, cursor, limit: Math.min(MAX_PAGE, left) };
    const page: AuditPage = await ask('GET', 'api/audit', { query, signal });
    yield* page.entries.slice(0, left);
    left -= page.entries.length;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined && left > 0);
}
