/**
 * Parses stored files as sound. A file may be crafted to attack its parser, so it is parsed in a thread with limits on time and memory, and the
 * thread is terminated when a file exceeds them. Each owner has a queue, and the queues take turns.
 */
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SoundMessage, SoundRequest } from '../../workers/sound.ts';
import { LadingError } from '../errors.ts';
import type { Sound } from '../records/audio.ts';
import type { StoredBytes } from './ranges.ts';

/** Limits on parsing. */
export interface SoundLimits {
  /** Time for one file, reads included. */
  milliseconds: number;
  /** Maximum heap of one thread, in MiB. */
  megabytes: number;
  threads: number;
  /** Maximum number of waiting files of one owner. */
  waitingEach: number;
  /** Maximum number of waiting files of all owners. */
  waiting: number;
}

const LIMITS: SoundLimits = { milliseconds: 5_000, megabytes: 128, threads: 2, waitingEach: 64, waiting: 1024 };
/** How long an idle thread is kept. */
const IDLE_MS = 30_000;
/** How long to wait for a thread to start before it is terminated: Node 20 can crash if a thread ends while it loads its modules. */
const STARTUP_MS = 10_000;
const READ_BYTES = 1024 ** 2;
const WORKER_FILE = fileURLToPath(new URL('../../workers/sound.js', import.meta.url));

interface Task {
  owner: string;
  stored: StoredBytes;
  settle(result: { sound: Sound | null } | { error: unknown }): void;
}

/** The queues and threads. */
export class SoundReader {
  readonly #limits: SoundLimits;
  /** Waiting tasks by owner, in the order of their turns. */
  readonly #queues = new Map<string, Task[]>();
  readonly #threads = new Set<SoundThread>();
  /** Owners of files that are being parsed. */
  readonly #busy = new Set<string>();
  #waiting = 0;
  #closed = false;

  constructor(limits: Partial<SoundLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  /**
   * Parses a file. Null if it is not an audio file, or malformed.
   * @param owner owner of the file; only one file of each owner is parsed at a time
   * @throws LadingError `unsupported_media_type` if the file exceeds the limits, `overloaded`, `shutting_down`; Error of the storage
   */
  read(owner: string, stored: StoredBytes): Promise<Sound | null> {
    if (this.#closed) return Promise.reject(shuttingDown());
    const queue = this.#queues.get(owner) ?? [];
    if (queue.length >= this.#limits.waitingEach || this.#waiting >= this.#limits.waiting) {
      return Promise.reject(
        new LadingError('overloaded', 'Too many audio files are waiting to be parsed. Try again later.', {
          retry_after: 5,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      const settle: Task['settle'] = (result) => ('error' in result ? reject(result.error) : resolve(result.sound));
      queue.push({ owner, stored, settle });
      this.#queues.set(owner, queue);
      this.#waiting += 1;
      this.#next();
    });
  }

  /** Ends the threads. Waiting and running tasks fail with `shutting_down`. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const queue of this.#queues.values()) for (const task of queue) task.settle({ error: shuttingDown() });
    this.#queues.clear();
    await Promise.all([...this.#threads].map((thread) => thread.end(shuttingDown())));
  }

  #next(): void {
    for (const [owner, queue] of this.#queues) {
      if (this.#busy.has(owner)) continue;
      const thread = this.#thread();
      if (thread === null) return;
      const task = queue.shift();
      this.#queues.delete(owner);
      // Inserted again at the end, so that the owners take turns.
      if (queue.length > 0) this.#queues.set(owner, queue);
      if (!task) continue;
      this.#waiting -= 1;
      this.#busy.add(owner);
      void thread.run(task).then(() => {
        this.#busy.delete(owner);
        this.#next();
      });
    }
  }

  /** An idle thread, which is started if necessary; null if all are busy. */
  #thread(): SoundThread | null {
    for (const thread of this.#threads) if (thread.isFree) return thread;
    if (this.#threads.size >= this.#limits.threads || this.#closed) return null;
    const thread = new SoundThread(this.#limits, () => this.#threads.delete(thread));
    this.#threads.add(thread);
    return thread;
  }
}

class SoundThread {
  readonly #limits: SoundLimits;
  readonly #worker: Worker;
  readonly #ready: Promise<void>;
  readonly #onEnd: () => void;
  #task: Task | null = null;
  #done: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(limits: SoundLimits, onEnd: () => void) {
    this.#limits = limits;
    this.#onEnd = onEnd;
    this.#worker = new Worker(WORKER_FILE, {
      env: {},
      execArgv: [],
      trackUnmanagedFds: false,
      resourceLimits: { maxOldGenerationSizeMb: limits.megabytes, maxYoungGenerationSizeMb: 16, stackSizeMb: 4 },
    });
    this.#worker.unref();
    this.#ready = new Promise((resolve) => {
      this.#worker.on('message', (message: SoundMessage) => {
        if (message.kind === 'ready') resolve();
        else this.#onMessage(message);
      });
      this.#worker.once('exit', () => {
        resolve();
        void this.end(limitExceeded());
      });
    });
    // `exit` follows every error, such as out of memory, and is handled above.
    this.#worker.on('error', () => {});
  }

  get isFree(): boolean {
    return this.#task === null && !this.#ended;
  }

  /** Resolves when the task is settled. */
  async run(task: Task): Promise<void> {
    this.#task = task;
    this.#setTimer(null);
    const done = new Promise<void>((resolve) => {
      this.#done = resolve;
    });
    await this.#ready;
    if (this.#task !== task) return done;
    this.#setTimer(setTimeout(() => void this.end(limitExceeded()), this.#limits.milliseconds));
    this.#post({ kind: 'parse', size: task.stored.size });
    return done;
  }

  /** Terminates the thread. Its task fails with `error`. */
  async end(error: LadingError): Promise<void> {
    const first = !this.#ended;
    this.#ended = true;
    if (first) this.#onEnd();
    this.#finish({ error });
    this.#setTimer(null);
    if (!first) return;
    await Promise.race([this.#ready, new Promise((resolve) => setTimeout(resolve, STARTUP_MS).unref())]);
    await this.#worker.terminate();
  }

  #onMessage(message: Exclude<SoundMessage, { kind: 'ready' }>): void {
    if (message.kind === 'read') void this.#read(message.position, message.length);
    else if (message.kind === 'sound') this.#finish({ sound: message.sound });
    else this.#finish({ error: Object.assign(new Error(message.failure.message), { code: message.failure.code }) });
  }

  async #read(position: number, length: number): Promise<void> {
    const task = this.#task;
    if (task === null) return;
    try {
      const bytes = new Uint8Array(Math.min(length, READ_BYTES));
      const read = await task.stored.read(bytes, position);
      if (this.#task === task) this.#post({ kind: 'bytes', bytes: bytes.subarray(0, read) });
    } catch (error) {
      if (this.#task !== task) return;
      this.#finish({ error });
      // The parser waits for this read, so the thread cannot be reused.
      void this.end(shuttingDown());
    }
  }

  #finish(result: { sound: Sound | null } | { error: unknown }): void {
    const task = this.#task;
    this.#task = null;
    this.#setTimer(this.#ended ? null : setTimeout(() => void this.end(limitExceeded()), IDLE_MS).unref());
    task?.settle(result);
    this.#done?.();
    this.#done = null;
  }

  #setTimer(timer: NodeJS.Timeout | null): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = timer;
  }

  #post(message: SoundRequest): void {
    this.#worker.postMessage(message);
  }
}

function limitExceeded(): LadingError {
  return new LadingError(
    'unsupported_media_type',
    'Parsing this file takes more time or memory than allowed. Encode it again, or upload it as a different type.',
  );
}

function shuttingDown(): LadingError {
  return new LadingError('shutting_down', 'The server is shutting down. Try again later.', { retry_after: 5 });
}
