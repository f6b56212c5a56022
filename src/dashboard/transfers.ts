/** Uploads and downloads of this page. The worker moves the bytes, this says how far they are. */
import { isTransient } from '../client/transport/failures.ts';
import { messageOf } from './format.ts';
import type { Cancelled, FromWorker, ToWorker } from './messages.ts';
import type { SignedIn } from './session.ts';

export interface Task {
  id: string;
  kind: 'upload' | 'download';
  name: string;
  state: 'queued' | 'running' | 'paused' | 'done' | 'failed';
  bytes: number;
  total: number | null;
  rate: number;
  left: number | null;
  note: string;
  /** A complete file of that name has other content, which this one may replace. */
  occupied: boolean;
}

/** Ids of uploads that this tab began, kept in it so that they can be cancelled after a reload. */
const BEGUN = 'lading.begun';
const MAX_BEGUN = 200;

/** What a person can do about a name that is in use. */
const OPEN = 'An unfinished upload of that name has other content. Wait for it, or cancel it under Transfers.';
const CONFLICTS: Record<string, string> = {
  file_complete: 'A stored file of that name has other content. It is kept unless you replace it.',
  size_conflict: OPEN,
  chunk_conflict: OPEN,
};

/** Files that are sent at the same time; each has several chunks on their way. */
const AT_ONCE = 3;

export class Transfers {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  readonly #tasks = new Map<string, Task>();
  readonly #files = new Map<string, File>();
  /** Tasks that are to run, the oldest first; the first few do. */
  readonly #waiting: string[] = [];
  readonly #active = new Set<string>();
  /** Uploads that replace a complete file. */
  readonly #replacing = new Set<string>();
  readonly #whenEnded = new Map<string, () => void>();
  #notice: string | null = null;
  readonly #changed: (tasks: Task[]) => void;
  #next = 0;

  constructor(who: SignedIn, changed: (tasks: Task[]) => void) {
    this.#changed = changed;
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === 'token') {
        const { call } = data;
        who.token(data.refused).then(
          (token) => this.#send({ type: 'token', call, token }),
          (error) => this.#send({ type: 'token', call, error: messageOf(error), transient: isTransient(error) }),
        );
      } else this.#receive(data);
    };
  }

  /** Something to tell that belongs to no task on the list; null when there is nothing. */
  get notice(): string | null {
    return this.#notice;
  }

  /** True while closing the page would interrupt something. */
  get isBusy(): boolean {
    return [...this.#tasks.values()].some(({ state }) => isMoving(state));
  }

  upload(file: File, name: string): void {
    const id = this.#add('upload', name, file.size);
    this.#files.set(id, file);
    this.#enqueue(id);
  }

  download(name: string, total: number | null): void {
    this.#enqueue(this.#add('download', name, total));
  }

  pause(id: string): void {
    const waits = this.#waiting.indexOf(id);
    if (waits >= 0) this.#waiting.splice(waits, 1);
    this.#change(id, { state: 'paused', note: '' });
    if (this.#active.has(id)) this.#send({ type: 'stop', id });
  }

  resume(id: string): void {
    this.#enqueue(id);
  }

  /** Sends a file in place of the complete one of its name. Readers get that one until the new one is complete. */
  replace(id: string): void {
    this.#replacing.add(id);
    this.#enqueue(id);
  }

  pauseAll(): void {
    for (const { id, state } of this.#tasks.values()) if (isMoving(state)) this.pause(id);
  }

  resumeAll(): void {
    for (const { id, state } of this.#tasks.values()) if (state === 'paused' || state === 'failed') this.resume(id);
  }

  /** Ends an upload. What this page began of it is removed from the server; a stored file stays, and what began elsewhere. */
  cancel(id: string): void {
    this.#send({ type: 'cancel', id });
    this.#drop(id);
  }

  /** Ends what this page sends under a name, without a change on the server; resolves when nothing of it is on its way. */
  async abandon(name: string): Promise<void> {
    const tasks = [...this.#tasks.values()].filter((task) => task.kind === 'upload' && task.name === name);
    const ended = tasks.flatMap(({ id, state }) => {
      if (state === 'done') return [];
      const over = this.#active.has(id) ? [new Promise<void>((resolve) => this.#whenEnded.set(id, resolve))] : [];
      this.forget(id);
      return over;
    });
    await Promise.all(ended);
  }

  /** Takes it off the list; what the server has of an upload stays there and can go on. */
  forget(id: string): void {
    this.#send({ type: 'forget', id });
    this.#drop(id);
  }

  dismiss(): void {
    this.#setNotice(null);
  }

  close(): void {
    this.#worker.terminate();
  }

  #drop(id: string): void {
    const waits = this.#waiting.indexOf(id);
    if (waits >= 0) this.#waiting.splice(waits, 1);
    this.#tasks.delete(id);
    this.#files.delete(id);
    this.#replacing.delete(id);
    this.#notify();
  }

  #add(kind: Task['kind'], name: string, total: number | null): string {
    this.#next += 1;
    const id = String(this.#next);
    this.#tasks.set(id, {
      id,
      kind,
      name,
      state: 'queued',
      bytes: 0,
      total,
      rate: 0,
      left: null,
      note: '',
      occupied: false,
    });
    return id;
  }

  #enqueue(id: string): void {
    this.#change(id, { state: 'queued', note: '', occupied: false });
    if (!this.#waiting.includes(id)) this.#waiting.push(id);
    this.#start();
  }

  #start(): void {
    while (this.#active.size < AT_ONCE) {
      // One that was paused a moment ago may not have stopped yet.
      const at = this.#waiting.findIndex((id) => !this.#active.has(id));
      const id = at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
      if (id === undefined) break;
      const task = this.#tasks.get(id);
      if (task === undefined) continue;
      this.#active.add(id);
      this.#tasks.set(id, { ...task, state: 'running' });
      const file = this.#files.get(id);
      const { name } = task;
      if (file === undefined) this.#send({ type: 'download', id, name });
      else this.#send({ type: 'upload', id, file, name, replace: this.#replacing.has(id), begun: startedUploads() });
    }
    this.#notify();
  }

  #receive(message: Exclude<FromWorker, { type: 'token' }>): void {
    switch (message.type) {
      case 'progress': {
        const { bytes, total, rate, left } = message;
        this.#change(message.id, { bytes, total, rate, left, note: '' });
        return;
      }
      case 'waiting':
        this.#change(message.id, { note: `${message.why} Trying again …` });
        return;
      case 'begun':
        sessionStorage.setItem(BEGUN, JSON.stringify([...startedUploads(), message.upload].slice(-MAX_BEGUN)));
        return;
      case 'cancelled':
        this.#setNotice(noticeOf(message));
        return;
      default:
        this.#active.delete(message.id);
        this.#whenEnded.get(message.id)?.();
        this.#whenEnded.delete(message.id);
        this.#ended(message);
        this.#start();
    }
  }

  #ended(message: Extract<FromWorker, { type: 'failed' | 'uploaded' | 'downloaded' | 'stopped' }>): void {
    const { id } = message;
    const task = this.#tasks.get(id);
    if (task === undefined) return;
    if (message.type === 'failed') {
      const { code, why } = message;
      this.#change(id, { state: 'failed', note: CONFLICTS[code ?? ''] ?? why, occupied: code === 'file_complete' });
    } else if (message.type === 'uploaded') {
      const went = message.resumed > 0 ? 'Continued where it stopped.' : '';
      const note = message.already ? 'The same file was there already; nothing was sent.' : went;
      this.#change(id, { state: 'done', bytes: task.total ?? 0, note });
      this.#files.delete(id);
    } else if (message.type === 'downloaded') {
      this.#change(id, { state: 'done', note: '' });
      save(message.blob, task.name);
    }
  }

  #setNotice(notice: string | null): void {
    this.#notice = notice;
    this.#notify();
  }

  #change(id: string, change: Partial<Task>): void {
    const task = this.#tasks.get(id);
    if (task === undefined) return;
    this.#tasks.set(id, { ...task, ...change });
    this.#notify();
  }

  #notify(): void {
    this.#changed([...this.#tasks.values()]);
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function isMoving(state: Task['state']): boolean {
  return state === 'running' || state === 'queued';
}

function startedUploads(): string[] {
  return JSON.parse(sessionStorage.getItem(BEGUN) ?? '[]') as string[];
}

/** What a person should know of a cancelled upload; null when all is as they wished. */
function noticeOf({ name, outcome, why }: Extract<FromWorker, { type: 'cancelled' }>): string | null {
  const notices: Record<Cancelled, string | null> = {
    removed: null,
    foreign: `This page no longer sends ${name}. The server keeps the unfinished upload of that name, because another tab or device began it. You can cancel it under Transfers.`,
    complete: `${name} was complete before it could be cancelled, and is kept.`,
    unknown: `This page no longer sends ${name}, but it could not ask the server to remove what has arrived. ${why ?? ''}`,
  };
  return notices[outcome];
}

/** The browser asks where to, or takes its folder of downloads. */
function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name.slice(name.lastIndexOf('/') + 1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
