/**
 * Writes log lines to standard error or to a file. If the log cannot be written, the server continues: it drops and counts the lines, and
 * reports their number before the next line that it can write.
 */
import * as fs from 'node:fs';
import type { DestinationStream } from 'pino';
import { NO_WAIT } from '../../settings/small-file.ts';
import { missingLines } from './log.ts';

const STANDARD_ERROR = 2;
/** Maximum number of bytes that wait in memory for a slow reader. Further lines are dropped. */
const WAITING_BYTES = 1024 ** 2;
const RETRY_MS = 20;
/** How long the process waits for a slow reader when it exits. */
const LAST_LINES_MS = 500;
/** Errors of a pipe or terminal whose reader is behind. */
const BUSY: ReadonlySet<string> = new Set(['EAGAIN', 'EBUSY']);
/** The group may read the file, as usual for logs. */
const MODE = 0o640;

export interface LogOutputOptions {
  /** Null: standard error. */
  file: string | null;
  /** Writes some of the bytes and returns how many; for tests. Default: `fs.writeSync`. */
  writeSync?(fd: number, bytes: Uint8Array): number;
}

interface Waiting {
  bytes: Buffer;
  /** Null for a line of the log; otherwise the number of missing lines that this line reports. */
  missing: number | null;
}

/** The destination of the logger. */
export class LogOutput implements DestinationStream {
  readonly #file: string | null;
  readonly #writeSync: (fd: number, bytes: Uint8Array) => number;
  #fd = STANDARD_ERROR;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** True if the first waiting line has been partly written. */
  #partlyWritten = false;
  /** True if the last line in the log is incomplete. */
  #torn = false;
  #retry: NodeJS.Timeout | null = null;
  #dropped = 0;
  /** Dropped lines that no line has reported yet. */
  #unreported = 0;

  /** @throws Error with a `code` when the file cannot be opened */
  constructor({ file, writeSync = (fd, bytes) => fs.writeSync(fd, bytes) }: LogOutputOptions) {
    this.#file = file;
    this.#writeSync = writeSync;
    if (file !== null) this.#fd = openLog(file);
  }

  /** Lines dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#waitingBytes + line.length > WAITING_BYTES) {
      this.#dropped += 1;
      this.#unreported += 1;
      return;
    }
    if (this.#unreported > 0) {
      this.#wait(`${this.#torn ? '\n' : ''}${missingLines(this.#unreported)}`, this.#unreported);
      this.#unreported = 0;
    }
    this.#wait(line, null);
    this.#writeWaiting();
  }

  /**
   * Opens the file again by its name, after log rotation. Does nothing for standard error.
   * @throws Error with a `code`; the old file stays in use
   */
  reopen(): void {
    if (this.#file === null) return;
    const fd = openLog(this.#file);
    fs.closeSync(this.#fd);
    this.#fd = fd;
  }

  /** Waits a moment for a slow reader. Call it when the process ends. */
  end(): void {
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let left = LAST_LINES_MS; this.#waiting.length > 0 && left > 0; left -= RETRY_MS) {
      this.#writeWaiting();
      if (this.#waiting.length > 0) Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }

  #wait(line: string, missing: number | null): void {
    const bytes = Buffer.from(line);
    this.#waiting.push({ bytes, missing });
    this.#waitingBytes += bytes.length;
  }

  #writeWaiting(): void {
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        while (next.bytes.length > 0) {
          const written = this.#writeSync(this.#fd, next.bytes);
          next.bytes = next.bytes.subarray(written);
          this.#waitingBytes -= written;
          this.#partlyWritten ||= written > 0;
        }
        this.#waiting.shift();
        this.#partlyWritten = false;
        this.#torn = false;
      }
    } catch (error) {
      if (BUSY.has(codeOf(error))) this.#retryLater();
      else this.#drop();
    }
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#writeWaiting();
    }, RETRY_MS).unref();
  }

  #drop(): void {
    for (const { missing } of this.#waiting) {
      this.#unreported += missing ?? 1;
      if (missing === null) this.#dropped += 1;
    }
    this.#torn ||= this.#partlyWritten;
    this.#partlyWritten = false;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}

/** Opens without blocking: a named pipe without a reader fails with ENXIO, and one with a slow reader with EAGAIN. */
function openLog(file: string): number {
  return fs.openSync(file, fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT | NO_WAIT, MODE);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
