/**
 * The audit log: lines of JSON in one append-only file per month.
 *
 * Waiting entries share one write and one sync (group commit). An incomplete entry that a crash left is cut off before the next append;
 * it was never acknowledged. Pages are read backwards from the end, one block at a time, so a month may have any size.
 */

import type { AuditLog, AuditPage, AuditQuery } from '../../contracts/audit-log.ts';
import { LadingError } from '../../errors.ts';
import type { AuditEntry } from '../../records/audit.ts';
import { guarded } from './directory/failures.ts';
import { auditMonthOf, type Layout } from './directory/layout.ts';
import { codeOf, type Disk } from './io/disk.ts';
import { readFully, writeFully } from './io/durable.ts';

const NEWLINE = 0x0a;
const BLOCK_BYTES = 64 * 1024;
/** Maximum number of bytes read for one page. A filter that matches nothing must not read years in one request. */
const MAX_SCAN_BYTES = 8 * 1024 * 1024;
/** Maximum length of a line. Entries are much shorter, so a longer line is damaged and is skipped. */
const MAX_LINE_BYTES = 64 * 1024;
/** Maximum number of entries that wait to be written. */
const MAX_PENDING = 10_000;
const CURSOR = /^(\d{4}-(?:0[1-9]|1[0-2]))\.(\d{1,15})$/;

interface PendingEntry {
  month: string;
  line: Buffer;
  resolve(): void;
  reject(error: unknown): void;
}

interface MonthFile {
  month: string;
  fd: number;
  /** Bytes of the entries that are on stable storage. */
  end: number;
}

/** A page that is being read. */
interface PartialPage {
  query: AuditQuery;
  entries: AuditEntry[];
  /** Bytes that may still be read for it. */
  bytesLeft: number;
}

/** The audit log of a data directory. */
export class DiskAuditLog implements AuditLog {
  readonly #disk: Disk;
  readonly #layout: Layout;
  /** The open file of the current month. Null: the next entry opens it. */
  #file: MonthFile | null = null;
  #pending: PendingEntry[] = [];
  #writing: Promise<void> | null = null;
  /** Resolves when all entries appended so far are stored or rejected. */
  #settled: Promise<unknown> = Promise.resolve();

  private constructor(disk: Disk, layout: Layout) {
    this.#disk = disk;
    this.#layout = layout;
  }

  /** Opens the log; its directory exists. Cuts off an incomplete last entry. */
  static async open(disk: Disk, layout: Layout): Promise<DiskAuditLog> {
    const log = new DiskAuditLog(disk, layout);
    const [youngest] = await log.#months();
    if (youngest !== undefined) log.#file = await log.#openMonth(youngest);
    return log;
  }

  append(entry: AuditEntry): Promise<void> {
    if (this.#pending.length >= MAX_PENDING) {
      return Promise.reject(
        new LadingError('overloaded', 'Too many audit entries wait to be written. Try again soon.', {
          retry_after: 1,
        }),
      );
    }
    const written = new Promise<void>((resolve, reject) => {
      const line = Buffer.from(`${JSON.stringify(entry)}\n`);
      this.#pending.push({ month: new Date(entry.time).toISOString().slice(0, 7), line, resolve, reject });
    });
    this.#settled = written.catch(() => undefined);
    this.#writing ??= this.#write();
    return guarded(() => written);
  }

  async page(query: AuditQuery): Promise<AuditPage> {
    const from = query.before === null ? null : parseCursor(query.before);
    const filling: PartialPage = { query, entries: [], bytesLeft: MAX_SCAN_BYTES };
    await this.#settled;
    const months = await guarded(() => this.#months());
    for (const month of months) {
      if (from !== null && month > from.month) continue;
      const below = from?.month === month ? from.offset : Number.MAX_SAFE_INTEGER;
      const offset = await guarded(() => this.#readMonth(month, below, filling));
      if (offset === 0 && month === months.at(-1)) break;
      if (offset !== null) return { entries: filling.entries, nextCursor: `${month}.${offset}` };
    }
    return { entries: filling.entries, nextCursor: null };
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#closeFile();
  }

  /** The stored months, latest first. */
  async #months(): Promise<string[]> {
    const names = await this.#disk.readdir(this.#layout.audit);
    return names
      .map(auditMonthOf)
      .filter((month) => month !== null)
      .sort()
      .reverse();
  }

  async #write(): Promise<void> {
    // Entries of the same iteration of the event loop are written together.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const month = this.#monthFor(this.#pending[0]?.month ?? '');
      const next = this.#pending.findIndex((waiting) => this.#monthFor(waiting.month) !== month);
      const batch = this.#pending.splice(0, next === -1 ? this.#pending.length : next);
      try {
        await this.#writeBatch(month, Buffer.concat(batch.map(({ line }) => line)));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#writing = null;
  }

  /** The month to write to. A clock that was set back does not reopen an earlier month. */
  #monthFor(month: string): string {
    return this.#file !== null && this.#file.month > month ? this.#file.month : month;
  }

  async #writeBatch(month: string, bytes: Buffer): Promise<void> {
    if (this.#file?.month !== month) {
      await this.#closeFile();
      this.#file = await this.#openMonth(month);
    }
    const { fd, end } = this.#file;
    try {
      await writeFully(this.#disk, fd, bytes, end);
      await this.#disk.datasync(fd);
    } catch (error) {
      // These entries were not acknowledged. If the truncation fails, too, the next entry reopens the file, which cuts off incomplete lines.
      await this.#disk.truncate(fd, end).catch(() => this.#closeFile());
      throw error;
    }
    this.#file.end = end + bytes.length;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    if (file) await this.#disk.close(file.fd).catch(() => undefined);
  }

  async #openMonth(month: string): Promise<MonthFile> {
    const path = this.#layout.auditFile(month);
    let fd: number;
    try {
      fd = await this.#disk.open(path, 'r+');
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      fd = await this.#disk.open(path, 'wx+');
      await this.#disk.syncDir(this.#layout.audit);
      return { month, fd, end: 0 };
    }
    try {
      const size = await this.#disk.size(fd);
      const end = await this.#endOfLastLine(fd, size);
      if (end < size) await this.#disk.truncate(fd, end);
      // A crashed process may have left lines, and the name of their file, that are not durable yet.
      await this.#disk.datasync(fd);
      await this.#disk.syncDir(this.#layout.audit);
      return { month, fd, end };
    } catch (error) {
      await this.#disk.close(fd).catch(() => undefined);
      throw error;
    }
  }

  /** Offset after the last newline. */
  async #endOfLastLine(fd: number, size: number): Promise<number> {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let end = size; end > 0; ) {
      const start = Math.max(0, end - BLOCK_BYTES);
      const part = block.subarray(0, end - start);
      const got = await readFully(this.#disk, fd, part, start);
      const at = part.subarray(0, got).lastIndexOf(NEWLINE);
      if (at !== -1) return start + at + 1;
      end = start;
    }
    return 0;
  }

  /** Adds matching entries before the offset `below` to the page. Resolves with the offset where the next page begins; null: the month ended. */
  async #readMonth(month: string, below: number, filling: PartialPage): Promise<number | null> {
    const fd = await this.#disk.open(this.#layout.auditFile(month), 'r');
    try {
      const size = this.#file?.month === month ? this.#file.end : await this.#disk.size(fd);
      return await this.#readBackwards(fd, Math.min(below, size), filling);
    } finally {
      await this.#disk.close(fd);
    }
  }

  async #readBackwards(fd: number, below: number, filling: PartialPage): Promise<number | null> {
    /** The beginning of a line whose end is in the following block. */
    let tail = Buffer.alloc(0);
    let end = below;
    while (end > 0) {
      const start = Math.max(0, end - BLOCK_BYTES);
      const block = Buffer.allocUnsafe(end - start);
      const got = await readFully(this.#disk, fd, block, start);
      const bytes = Buffer.concat([block.subarray(0, got), tail]);
      let lineEnd = bytes.length;
      while (lineEnd > 0) {
        const lineStart = lineEnd < 2 ? 0 : bytes.lastIndexOf(NEWLINE, lineEnd - 2) + 1;
        if (lineStart === 0 && start > 0) break;
        addIfMatching(bytes.subarray(lineStart, lineEnd), filling);
        lineEnd = lineStart;
        if (filling.entries.length >= filling.query.limit) return start + lineStart;
      }
      tail = lineEnd > MAX_LINE_BYTES ? Buffer.alloc(0) : Buffer.from(bytes.subarray(0, lineEnd));
      filling.bytesLeft -= end - start;
      end = start;
      if (filling.bytesLeft <= 0 && end > 0) return end + tail.length;
    }
    return null;
  }
}

function parseCursor(cursor: string): { month: string; offset: number } {
  const [, month, offset] = CURSOR.exec(cursor) ?? [];
  if (month === undefined) {
    throw new LadingError('invalid_request', 'The cursor is invalid. Use the next_cursor of the previous page.');
  }
  return { month, offset: Number(offset) };
}

function addIfMatching(line: Buffer, { query, entries }: PartialPage): void {
  const entry = parseEntry(line);
  if (entry === null) return;
  if (query.action !== null && entry.action !== query.action) return;
  if (query.principal !== null && entry.principal !== query.principal) return;
  const isInTenant =
    query.tenant === null || entry.tenant === query.tenant || (query.includeTenantless && entry.tenant === null);
  if (isInTenant) entries.push(entry);
}

/** Null for an invalid entry: a damaged line must not prevent reading the others. */
function parseEntry(line: Buffer): AuditEntry | null {
  try {
    const value = JSON.parse(line.toString('utf8')) as Partial<AuditEntry> | null;
    if (typeof value?.time !== 'number' || typeof value.action !== 'string') return null;
    const { time, action, outcome = 'ok', principal = null, kind = null, tenant = null, address = null } = value;
    const { target = null, detail = null, requestId = null, count = 1 } = value;
    return { time, action, outcome, principal, kind, tenant, address, target, detail, requestId, count };
  } catch {
    return null;
  }
}
