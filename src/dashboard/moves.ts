/** Uploads and downloads of this page. The worker moves the bytes, this says how far they are. */
import { words } from './format.ts';
import type { FromWorker, ToWorker } from './messages.ts';
import type { SignedIn } from './session.ts';

export interface Task {
  id: string;
  kind: 'upload' | 'download';
  name: string;
  state: 'running' | 'paused' | 'done' | 'failed';
  bytes: number;
  total: number | null;
  rate: number;
  left: number | null;
  note: string;
}

/** Files that are sent at the same time; each has several chunks on their way. */
const AT_ONCE = 3;

export class Moves {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  readonly #tasks = new Map<string, Task>();
  readonly #files = new Map<string, File>();
  /** Tasks that are to run, the oldest first; the first few do. */
  readonly #waiting: string[] = [];
  readonly #active = new Set<string>();
  /** Uploads that are to be removed on the server once nothing of them is on its way: id → name. */
  readonly #cancelled = new Map<string, string>();
  readonly #who: SignedIn;
  readonly #changed: (tasks: Task[]) => void;
  #next = 0;

  constructor(who: SignedIn, changed: (tasks: Task[]) => void) {
    this.#who = who;
    this.#changed = changed;
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.type === 'token') {
        const { call } = data;
        who.token(data.refused).then(
          (token) => this.#send({ type: 'token', call, token }),
          (error) => this.#send({ type: 'token', call, error: words(error) }),
        );
      } else this.#heard(data);
    };
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

  goOn(id: string): void {
    this.#change(id, { state: 'running', note: '' });
    this.#enqueue(id);
  }

  pauseAll(): void {
    for (const { id, state } of this.#tasks.values()) if (state === 'running') this.pause(id);
  }

  goOnAll(): void {
    for (const { id, state } of this.#tasks.values()) if (state === 'paused' || state === 'failed') this.goOn(id);
  }

  /** Ends an upload, here and on the server. */
  cancel(id: string): void {
    const name = this.#tasks.get(id)?.name;
    const sends = this.#active.has(id);
    this.forget(id);
    if (name === undefined) return;
    // A chunk that arrived after the removal would begin the upload again.
    if (sends) this.#cancelled.set(id, name);
    else this.#remove(name);
  }

  /** Takes it off the list; what the server has of an upload stays there and can go on. */
  forget(id: string): void {
    this.pause(id);
    this.#tasks.delete(id);
    this.#files.delete(id);
    this.#show();
  }

  end(): void {
    this.#worker.terminate();
  }

  #remove(name: string): void {
    this.#who.client.remove(name).catch(() => {});
  }

  #add(kind: Task['kind'], name: string, total: number | null): string {
    this.#next += 1;
    const id = String(this.#next);
    this.#tasks.set(id, { id, kind, name, state: 'running', bytes: 0, total, rate: 0, left: null, note: '' });
    return id;
  }

  #enqueue(id: string): void {
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
      const file = this.#files.get(id);
      this.#send(
        file === undefined ? { type: 'download', id, name: task.name } : { type: 'upload', id, file, name: task.name },
      );
    }
    this.#show();
  }

  #heard(message: Exclude<FromWorker, { type: 'token' }>): void {
    const { id } = message;
    if (message.type === 'progress') {
      const { bytes, total, rate, left } = message;
      this.#change(id, { bytes, total, rate, left, note: '' });
      return;
    }
    if (message.type === 'waiting') {
      this.#change(id, { note: `${message.why} Trying again …` });
      return;
    }
    this.#active.delete(id);
    const cancelled = this.#cancelled.get(id);
    this.#cancelled.delete(id);
    if (cancelled !== undefined) this.#remove(cancelled);
    if (message.type === 'failed') this.#change(id, { state: 'failed', note: message.why });
    else if (message.type === 'uploaded') {
      const task = this.#tasks.get(id);
      this.#change(id, {
        state: 'done',
        bytes: task?.total ?? 0,
        note: message.resumed > 0 ? 'Went on where it was.' : '',
      });
      this.#files.delete(id);
    } else if (message.type === 'downloaded') {
      this.#change(id, { state: 'done', note: '' });
      save(message.blob, this.#tasks.get(id)?.name ?? 'file');
    }
    this.#start();
  }

  #change(id: string, change: Partial<Task>): void {
    const task = this.#tasks.get(id);
    if (task === undefined) return;
    this.#tasks.set(id, { ...task, ...change });
    this.#show();
  }

  #show(): void {
    this.#changed([...this.#tasks.values()]);
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

/** The browser asks where to, or takes its folder of downloads. */
function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name.slice(name.lastIndexOf('/') + 1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
