/** Places calls, a few at a time, in the order in which they were requested. */
import type { CallDocument } from '../records/calls.ts';
import type { Voice } from './voice.ts';

/** Calls that are placed at the same time. */
const MAX_SPEAKING = 4;
const MAX_WAITING = 100;

export interface SpeakerDeps {
  /** Null: calls are disabled. */
  voice: Voice | null;
  find(id: string): CallDocument | null;
  /** The code of a call; null once it is worthless or cannot be decrypted. */
  codeOf(call: CallDocument): string | null;
  /** Durable when it resolves. */
  change(call: CallDocument, change: Pick<CallDocument, 'speech'>): Promise<unknown>;
  warn(message: string, details: object): void;
}

export class Speaker {
  readonly #deps: SpeakerDeps;
  readonly #waiting: string[] = [];
  readonly #speaking = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor(deps: SpeakerDeps) {
    this.#deps = deps;
  }

  /** True when no more calls can be queued. */
  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING;
  }

  /** Queues a call. */
  add({ id }: CallDocument): void {
    this.#waiting.push(id);
    this.#speakNext();
  }

  /** Ends the calls that are being placed and drops those that wait. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the server is stopping'));
    this.#waiting.length = 0;
    await Promise.all(this.#speaking);
    await this.#deps.voice?.close();
  }

  #speakNext(): void {
    while (this.#speaking.size < MAX_SPEAKING) {
      const id = this.#waiting.shift();
      if (id === undefined) return;
      const speaking = this.#speak(id).finally(() => {
        this.#speaking.delete(speaking);
        this.#speakNext();
      });
      this.#speaking.add(speaking);
    }
  }

  async #speak(id: string): Promise<void> {
    const { voice, find, codeOf, change, warn } = this.#deps;
    const call = find(id);
    const code = call && codeOf(call);
    if (!call || code === null || !voice || this.#stop.signal.aborted) return;
    let speech: CallDocument['speech'] = 'spoken';
    try {
      await change(call, { speech: 'calling' });
      await voice.speak({ id, to: call.phone, message: call.message, code }, this.#stop.signal);
    } catch (error) {
      speech = 'failed';
      warn('a call failed', { session: id, error: error instanceof Error ? error.message : 'unknown' });
    }
    const current = find(id);
    // The provider may have reported the outcome already.
    if (current?.speech !== 'calling') return;
    await change(current, { speech }).catch((error: unknown) =>
      warn('the outcome of a call could not be stored', { session: id, error }),
    );
  }
}
