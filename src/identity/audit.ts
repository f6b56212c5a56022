/** Who did what and who was refused, on its way to the audit log. */

import type { AuditLog, AuditPage, AuditQuery } from '../contracts/audit-log.ts';
import type { Clock } from '../contracts/clock.ts';
import type { AnnouncedChange } from '../contracts/file-events.ts';
import type { AuditAction } from '../protocol/schemas/audit.ts';
import type { AuditEntry } from '../records/audit.ts';
import type { PrincipalKind } from '../records/principal.ts';

/** For so long what repeats itself is only counted; then the count becomes an entry. */
const WINDOW_MS = 10_000;
/** Sorts of repetitions told apart in a window; what else comes is counted together. */
const MAX_SORTS = 1_000;

/** An entry before the log gives it its time. */
export interface AuditEvent {
  action: AuditAction;
  outcome: AuditEntry['outcome'];
  principal: { id: string; kind: PrincipalKind } | null;
  tenant: string | null;
  address: string | null;
  target: string | null;
  detail: string | null;
  requestId: string | null;
}

export interface AuditDeps {
  log: AuditLog;
  clock: Clock;
  /** Told of an entry that could not be stored. */
  failed(entry: AuditEntry, error: unknown): void;
  /** Told of refusals, those that are counted together once. */
  refused?(entry: AuditEntry): void;
  /** Told of what was done, once it is stored or could not be. */
  recorded?(entry: AuditEntry, key?: string): Promise<void> | undefined;
  /** Told of what is about to be done. Null when nobody else has to know before. */
  announce?(entry: AuditEntry): AnnouncedChange | null;
}

export class Audit {
  readonly #deps: AuditDeps;
  /** Counted since the window began; null: the one that opened the sort is stored and nothing came since. */
  #sorts = new Map<string, AuditEntry | null>();
  #window: NodeJS.Timeout | null = null;
  readonly #appending = new Set<Promise<void>>();
  #refusedSignIns = 0;

  constructor(deps: AuditDeps) {
    this.#deps = deps;
  }

  /**
   * Durable when it resolves. It never rejects: on a full disk somebody must be able to sign in and make room. What could not be
   * stored stands in the server's log.
   */
  record(happening: AuditEvent, key?: string): Promise<void> {
    return this.#append(this.#entryOf(happening), key);
  }

  /** To be called before it is done, and ended after it was recorded or failed. */
  announce(happening: AuditEvent): AnnouncedChange | null {
    return this.#deps.announce?.(this.#entryOf(happening)) ?? null;
  }

  /** For what may come in floods: returns at once, and stores the first of a sort and how many more followed. */
  recordAggregated(happening: AuditEvent): void {
    this.#window ??= setTimeout(() => this.#endWindow(), WINDOW_MS).unref();
    const entry = this.#entryOf(happening);
    let sort = sortOf(entry);
    if (!this.#sorts.has(sort) && this.#sorts.size >= MAX_SORTS) {
      // A flood from everywhere: that it happens is worth an entry, each of its addresses is not.
      Object.assign(entry, { principal: null, kind: null, tenant: null, address: null, target: null, requestId: null });
      sort = sortOf(entry);
    }
    const counted = this.#sorts.get(sort);
    if (counted) counted.count += 1;
    else if (counted === null) this.#sorts.set(sort, entry);
    else {
      this.#sorts.set(sort, null);
      void this.#append(entry);
    }
  }

  /** Since the start, each of them. */
  get refusedSignIns(): number {
    return this.#refusedSignIns;
  }

  page(query: AuditQuery): Promise<AuditPage> {
    return this.#deps.log.page(query);
  }

  /** When everything is stored. */
  async close(): Promise<void> {
    this.#endWindow();
    await Promise.all(this.#appending);
  }

  #endWindow(): void {
    if (this.#window) clearTimeout(this.#window);
    this.#window = null;
    const sorts = this.#sorts;
    this.#sorts = new Map();
    for (const counted of sorts.values()) if (counted) void this.#append(counted);
  }

  #entryOf({ principal, ...rest }: AuditEvent): AuditEntry {
    const { action, outcome, tenant, address, target, detail, requestId } = rest;
    if (action === 'sign_in' && outcome === 'refused') this.#refusedSignIns += 1;
    return {
      time: this.#deps.clock.now(),
      action,
      outcome,
      principal: principal?.id ?? null,
      kind: principal?.kind ?? null,
      tenant,
      address,
      target,
      detail,
      requestId,
      count: 1,
    };
  }

  #append(entry: AuditEntry, key?: string): Promise<void> {
    if (entry.outcome === 'refused') this.#deps.refused?.(entry);
    const appending: Promise<void> = this.#deps.log
      .append(entry)
      .catch((error: unknown) => this.#deps.failed(entry, error))
      // What was done was done, also where the log has no room for it.
      .then(() => this.#deps.recorded?.(entry, key))
      .catch((error: unknown) => this.#deps.failed(entry, error))
      .then(() => void this.#appending.delete(appending));
    this.#appending.add(appending);
    return appending;
  }
}

/** What is the same sort of thing from the same place; the target is not told apart, or a walk through names would be a flood. */
function sortOf({ action, outcome, principal, kind, address, detail }: AuditEntry): string {
  return JSON.stringify([action, outcome, principal, kind, address, detail]);
}
