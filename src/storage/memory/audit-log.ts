/** The audit log in memory. A cursor is the number of entries before the page. */
import type { AuditLog, AuditPage, AuditQuery } from '../../contracts/audit-log.ts';
import { LadingError } from '../../errors.ts';
import type { AuditEntry } from '../../records/audit.ts';
import { KeyedQueues } from '../queues.ts';
import { frozenCopy } from './frozen-copy.ts';
import type { Run } from './run.ts';

/** Maximum number of entries that wait to be stored. */
const MAX_WAITING = 10_000;
const CURSOR = /^\d{1,15}$/;

export class MemoryAuditLog implements AuditLog {
  readonly #entries: AuditEntry[];
  readonly #run: Run;
  readonly #queues = new KeyedQueues();
  #waiting = 0;

  constructor(entries: AuditEntry[], run: Run) {
    this.#entries = entries;
    this.#run = run;
  }

  async append(entry: AuditEntry): Promise<void> {
    if (this.#waiting >= MAX_WAITING) {
      throw new LadingError('overloaded', 'Too many audit entries wait to be stored. Try again soon.', {
        retry_after: 1,
      });
    }
    const copy = frozenCopy(entry);
    this.#waiting += 1;
    try {
      await this.#inOrder(() => this.#run.step('audit.append', () => this.#entries.push(copy)));
    } finally {
      this.#waiting -= 1;
    }
  }

  async page(query: AuditQuery): Promise<AuditPage> {
    if (query.before !== null && !CURSOR.test(query.before))
      throw new LadingError('invalid_request', 'The cursor is invalid. Use the next_cursor of the previous page.');
    return this.#inOrder(() => this.#run.step('audit.page', () => pageOf(this.#entries, query)));
  }

  async close(): Promise<void> {
    await this.#inOrder(() => Promise.resolve());
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    return this.#queues.run('', work);
  }
}

function pageOf(all: readonly AuditEntry[], query: AuditQuery): AuditPage {
  const entries: AuditEntry[] = [];
  const start = query.before === null ? all.length : Math.min(Number(query.before), all.length);
  for (let at = start - 1; at >= 0; at -= 1) {
    const entry = all[at];
    if (entry && matches(entry, query)) entries.push(entry);
    if (at > 0 && entries.length === query.limit) return { entries, nextCursor: String(at) };
  }
  return { entries, nextCursor: null };
}

function matches({ action, principal, tenant }: AuditEntry, query: AuditQuery): boolean {
  if (query.action !== null && action !== query.action) return false;
  if (query.principal !== null && principal !== query.principal) return false;
  return query.tenant === null || tenant === query.tenant || (query.includeTenantless && tenant === null);
}
