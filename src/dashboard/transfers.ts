/** Uploads and downloads of this page. The worker transfers the bytes, and this class tracks their state. */
import { isTransient } from '../client/transport/failures.ts';
import { messageOf } from './format.ts';
import type { Cancelled, FromWorker, ToWorker } from './messages.ts';
import type { Session } from './session.ts';

/** An upload or download in the list of the page. */
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
  /** True when a complete file of this name has different content. The user may replace it. */
  nameInUse: boolean;
}

/** Session storage key: ids of uploads that this tab started, so that they can be cancelled after a reload. */
const STARTED_KEY = 'lading.begun';
const MAX_STARTED = 200;

const IN_USE = 'An unfinished upload of this name has different content. Wait for it, or cancel it under Transfers.';
/** Messages for conflicts, by error code. */
const CONFLICTS: Record<string, string> = {
  file_complete: 'A stored file of this name has different content. It is kept unless you replace it.',
  size_conflict: IN_USE,
  chunk_conflict: IN_USE,
};

/** Concurrent transfers; each has several chunks in flight. */
const MAX_ACTIVE = 3;

/** The transfers of one page and session. */
export class Transfers {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  readonly #tasks = new Map<string, Task>();
  readonly #files = new Map<string, File>();
  /** Queued tasks, oldest first. */
  readonly #queue: string[] = [];
  readonly #active = new Set<string>();
  /** Uploads that replace a complete file. */
  readonly #replacing = new Set<string>();
  readonly #onceEnded = new Map<string, () => void>();
  #notice: string | null = null;
  readonly #onChange: (tasks: Task[]) => void;
  #next = 0;

  constructor(session: Session, onChange: (tasks: Task[]) => void) {
    this.#onChange = onChange;
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === 'token') {
        const { call } = data;
        session.token(data.refused).then(
          (token) => this.#send({ type: 'token', call, token }),
          (error) => this.#send({ type: 'token', call, error: messageOf(error), transient: isTransient(error) }),
        );
      } else this.#receive(data);
    };
  }

  /** A notice about a task that is no longer on the list; null if none. */
  get notice(): string | null {
    return this.#notice;
  }

  /** True while closing the page would interrupt a transfer. */
  get isBusy(): boolean {
    return [...this.#tasks.values()].some(({ state }) => isActive(state));
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
    const position = this.#queue.indexOf(id);
    if (position >= 0) this.#queue.splice(position, 1);
    this.#change(id, { state: 'paused', note: '' });
    if (this.#active.has(id)) this.#send({ type: 'stop', id });
  }

  resume(id: string): void {
    this.#enqueue(id);
  }

  /** Retries an upload and replaces the complete file of its name. Readers get the old file until the new one is complete. */
  replace(id: string): void {
    this.#replacing.add(id);
    this.#enqueue(id);
  }

  pauseAll(): void {
    for (const { id, state } of this.#tasks.values()) if (isActive(state)) this.pause(id);
  }

  resumeAll(): void {
    for (const { id, state } of this.#tasks.values()) if (state === 'paused' || state === 'failed') this.resume(id);
  }

  /** Cancels an upload and removes it from the server if this page started it. Stored files and other uploads are kept. */
  cancel(id: string): void {
    this.#send({ type: 'cancel', id });
    this.#drop(id);
  }

  /** Stops the uploads of a name without changing the server. Resolves when no request is in flight. */
  async abandon(name: string): Promise<void> {
    const tasks = [...this.#tasks.values()].filter((task) => task.kind === 'upload' && task.name === name);
    const ended = tasks.flatMap(({ id, state }) => {
      if (state === 'done') return [];
      const stopped = this.#active.has(id) ? [new Promise<void>((resolve) => this.#onceEnded.set(id, resolve))] : [];
      this.forget(id);
      return stopped;
    });
    await Promise.all(ended);
  }

  /** Removes a task from the list. The server keeps the received bytes, so that the upload can be resumed. */
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
    const position = this.#queue.indexOf(id);
    if (position >= 0) this.#queue.splice(position, 1);
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
      nameInUse: false,
    });
    return id;
  }

  #enqueue(id: string): void {
    this.#change(id, { state: 'queued', note: '', nameInUse: false });
    if (!this.#queue.includes(id)) this.#queue.push(id);
    this.#start();
  }

  #start(): void {
    while (this.#active.size < MAX_ACTIVE) {
      // A task that was paused and resumed may not have stopped yet.
      const at = this.#queue.findIndex((id) => !this.#active.has(id));
      const id = at < 0 ? undefined : this.#queue.splice(at, 1)[0];
      if (id === undefined) break;
      const task = this.#tasks.get(id);
      if (task === undefined) continue;
      this.#active.add(id);
      this.#tasks.set(id, { ...task, state: 'running' });
      const file = this.#files.get(id);
      const { name } = task;
      if (file === undefined) this.#send({ type: 'download', id, name });
      else this.#send({ type: 'upload', id, file, name, replace: this.#replacing.has(id), started: startedUploads() });
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
        this.#change(message.id, { note: `${message.why} Retrying …` });
        return;
      case 'started':
        sessionStorage.setItem(STARTED_KEY, JSON.stringify([...startedUploads(), message.upload].slice(-MAX_STARTED)));
        return;
      case 'cancelled':
        this.#setNotice(noticeOf(message));
        return;
      default:
        this.#active.delete(message.id);
        this.#onceEnded.get(message.id)?.();
        this.#onceEnded.delete(message.id);
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
      this.#change(id, { state: 'failed', note: CONFLICTS[code ?? ''] ?? why, nameInUse: code === 'file_complete' });
    } else if (message.type === 'uploaded') {
      const resumed = message.resumed > 0 ? 'Resumed.' : '';
      const note = message.already ? 'The same file was already stored. Nothing was sent.' : resumed;
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
    this.#onChange([...this.#tasks.values()]);
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

function isActive(state: Task['state']): boolean {
  return state === 'running' || state === 'queued';
}

function startedUploads(): string[] {
  return JSON.parse(sessionStorage.getItem(STARTED_KEY) ?? '[]') as string[];
}

/** The notice for the outcome of a cancellation; null if none is needed. */
function noticeOf({ name, outcome, why }: Extract<FromWorker, { type: 'cancelled' }>): string | null {
  const notices: Record<Cancelled, string | null> = {
    removed: null,
    foreign: `This page stopped uploading ${name}. The server keeps the unfinished upload of this name, because another tab or device started it. You can cancel it under Transfers.`,
    complete: `${name} was complete before it could be cancelled. The file is kept.`,
    unknown: `This page stopped uploading ${name}, but could not delete it from the server. ${why ?? ''}`,
  };
  return notices[outcome];
}

/** Saves a blob as a download of the browser. */
function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name.slice(name.lastIndexOf('/') + 1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
