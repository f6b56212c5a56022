/** Records who did what, and what was refused, in the audit log. */

import type { AuditLog, AuditPage, AuditQuery } from '../contracts/audit-log.ts';
import type { Clock } from '../contracts/clock.ts';
import type { AnnouncedChange } from '../contracts/file-events.ts';
import type { AuditAction } from '../protocol/schemas/audit.ts';
import type { AuditEntry } from '../records/audit.ts';
import type { PrincipalKind } from '../records/principal.ts';

/** Repeated entries are counted in windows of this length. At the end of a window, their count becomes one entry. */
const WINDOW_MS = 10_000;
/** Kinds of repeated entries in a window; further ones are counted together. */
const MAX_KINDS = 1_000;

/** An entry without its time. */
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

/** What the audit log needs. */
export interface AuditDeps {
  log: AuditLog;
  clock: Clock;
  /** Called when an entry could not be stored. */
  onFailed(entry: AuditEntry, error: unknown): void;
  /** Called for refusals; once for those that are counted together. */
  onRefused?(entry: AuditEntry): void;
  /** Called for each entry after it was stored, or could not be. */
  onRecorded?(entry: AuditEntry, key?: string): Promise<void> | undefined;
  /** Called before a change is made; null if no webhook receives it. */
  announce?(entry: AuditEntry): AnnouncedChange | null;
}

/** The audit log. */
export class Audit {
  readonly #deps: AuditDeps;
  /** Entries that were repeated since the window began, by kind; null: the first entry is stored and has not been repeated. */
  #counted = new Map<string, AuditEntry | null>();
  #window: NodeJS.Timeout | null = null;
  readonly #appending = new Set<Promise<void>>();
  #refusedSignIns = 0;

  constructor(deps: AuditDeps) {
    this.#deps = deps;
  }

  /**
   * Records an entry. Durable when it resolves. Never rejects: on a full disk, people must be able to sign in and free space. Entries
   * that could not be stored go to the server's log.
   */
  record(event: AuditEvent, key?: string): Promise<void> {
    return this.#append(this.#entryOf(event), key);
  }

  /** Announces a change before it is made. The caller ends the announcement after the change was recorded or failed. */
  announce(event: AuditEvent): AnnouncedChange | null {
    return this.#deps.announce?.(this.#entryOf(event)) ?? null;
  }

  /** Records an entry that may be repeated very often: returns at once, and stores the first of a kind and the number that followed. */
  recordAggregated(event: AuditEvent): void {
    this.#window ??= setTimeout(() => this.#endWindow(), WINDOW_MS).unref();
    const entry = this.#entryOf(event);
    let key = aggregationKey(entry);
    if (!this.#counted.has(key) && this.#counted.size >= MAX_KINDS) {
      // Entries from many addresses become one entry without addresses.
      Object.assign(entry, { principal: null, kind: null, tenant: null, address: null, target: null, requestId: null });
      key = aggregationKey(entry);
    }
    const counted = this.#counted.get(key);
    if (counted) counted.count += 1;
    else if (counted === null) this.#counted.set(key, entry);
    else {
      this.#counted.set(key, null);
      void this.#append(entry);
    }
  }

  /** Number of refused sign-ins since the server started. */
  get refusedSignIns(): number {
    return this.#refusedSignIns;
  }

  /** A page of entries, newest first. */
  page(query: AuditQuery): Promise<AuditPage> {
    return this.#deps.log.page(query);
  }

  /** Resolves when every entry is stored. */
  async close(): Promise<void> {
    this.#endWindow();
    await Promise.all(this.#appending);
  }

  #endWindow(): void {
    if (this.#window) clearTimeout(this.#window);
    this.#window = null;
    const ended = this.#counted;
    this.#counted = new Map();
    for (const counted of ended.values()) if (counted) void this.#append(counted);
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
    if (entry.outcome === 'refused') this.#deps.onRefused?.(entry);
    const appending: Promise<void> = this.#deps.log
      .append(entry)
      .catch((error: unknown) => this.#deps.onFailed(entry, error))
      // The change was made even if the log could not store its entry.
      .then(() => this.#deps.onRecorded?.(entry, key))
      .catch((error: unknown) => this.#deps.onFailed(entry, error))
      .then(() => void this.#appending.delete(appending));
    this.#appending.add(appending);
    return appending;
  }
}

/** Key of entries that are counted together. It excludes the target: otherwise a client that tries many names would fill the log. */
function aggregationKey({ action, outcome, principal, kind, address, detail }: AuditEntry): string {
  return JSON.stringify([action, outcome, principal, kind, address, detail]);
}
