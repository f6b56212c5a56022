/** Status objects as server-sent events (the format is WHATWG's, "Server-sent events"). */
import { Readable } from 'node:stream';
import type { Engine } from '../../engine/engine.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { Principal } from '../../records/principal.ts';
import type { StreamLimits } from '../access/stream-limits.ts';

/** At most four events a second (PROTOCOL §2). */
const SPACING_MS = 250;
/** A regular comment keeps proxies from closing a quiet stream and detects clients that have left. */
const HEARTBEAT_MS = 15_000;
/** True when an `Accept` field names the type of event streams, and not with weight 0. */
export function wantsEvents(accept: string | undefined): boolean {
  return (
    accept?.split(',').some((range) => /^\s*text\/event-stream\s*(;(?!\s*q\s*=\s*0(\.0*)?\s*$).*)?$/i.test(range)) ??
    false
  );
}

/** Id of the event that says that a file is complete: of each version another one. */
function completeId({ etag }: FileStatus): string {
  return (etag ?? '').replaceAll('"', '');
}

/**
 * True when a client that comes back was told of this very version that it is complete: an `EventSource` reconnects after every end
 * of a stream, and 204 is what stops it.
 * @param lastId `Last-Event-ID`; one that is not ours says the same as ours
 */
export function hasSeenComplete(status: FileStatus, lastId: string | undefined): boolean {
  if (status.status !== 'complete' || lastId === undefined || lastId === '') return false;
  return lastId === completeId(status) || !/^[0-9a-f]{32}-\d+-[0-9a-f]{8}$/.test(lastId);
}

class StatusStream extends Readable {
  readonly #engine: Engine;
  readonly #owner: string;
  readonly #name: string;
  readonly #isAuthorized: () => boolean;
  readonly #unwatch: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  #timer: NodeJS.Timeout | null = null;
  /** Something changed since the last event. */
  #changed = false;
  /** The client's socket takes no more for now; only the newest status will matter then. */
  #full = false;
  #sentAt = Number.NEGATIVE_INFINITY;

  constructor(engine: Engine, owner: string, name: string, isAuthorized: () => boolean) {
    super({ highWaterMark: 16 * 1024 });
    this.#engine = engine;
    this.#owner = owner;
    this.#name = name;
    this.#isAuthorized = isAuthorized;
    this.#unwatch = engine.watch(owner, name, () => this.#change());
    this.#heartbeat = setInterval(() => {
      if (!this.#isAuthorized()) this.finish();
      else if (!this.#full) this.#full = !this.push(':\n\n');
    }, HEARTBEAT_MS);
  }

  /** Sends the first status; the stream ends with the first that is complete. */
  start(status: FileStatus): void {
    this.#send(status);
  }

  override _read(): void {
    this.#full = false;
    if (this.#changed) this.#schedule();
  }

  #change(): void {
    this.#changed = true;
    if (!this.#full) this.#schedule();
  }

  #schedule(): void {
    if (this.destroyed) return;
    this.#timer ??= setTimeout(() => void this.#next(), Math.max(0, this.#sentAt + SPACING_MS - performance.now()));
  }

  async #next(): Promise<void> {
    this.#changed = false;
    try {
      const status = await this.#engine.status(this.#owner, this.#name);
      this.#timer = null;
      this.#send(status);
      if (this.#changed && !this.#full) this.#schedule();
    } catch (error) {
      this.destroy(error instanceof Error ? error : undefined);
    }
  }

  #send(status: FileStatus): void {
    if (this.destroyed || this.readableEnded) return;
    if (!this.#isAuthorized()) {
      this.finish();
      return;
    }
    this.#sentAt = performance.now();
    this.#full = !this.push(`event: status\ndata: ${JSON.stringify(status)}\n\n`);
    if (status.status !== 'complete') return;
    // The id follows in a block of its own, which is not an event: a client that sends it back has read the event.
    this.push(`:\nid: ${completeId(status)}\n\n`);
    this.finish();
  }

  /** Ends the stream after what was sent. */
  finish(): void {
    this.#release();
    if (!this.destroyed) this.push(null);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#release();
    done(error);
  }

  #release(): void {
    this.#unwatch();
    clearInterval(this.#heartbeat);
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** The streams that are open now. */
export class StatusStreams {
  readonly #engine: Engine;
  readonly #limits: StreamLimits;
  readonly #open = new Set<StatusStream>();
  #closed = false;

  constructor(engine: Engine, limits: StreamLimits) {
    this.#engine = engine;
    this.#limits = limits;
  }

  /**
   * @param asker who is counted: an API token with its owner
   * @param isAuthorized false once the principal may no longer see the file; then the stream ends
   * @throws LadingError `overloaded` when too many are open, in all or of the asker's
   */
  async open(
    owner: string,
    name: string,
    asker: Pick<Principal, 'tenant' | 'id'>,
    isAuthorized: () => boolean,
  ): Promise<Readable> {
    const leave = this.#limits.enter(asker);
    const stream = new StatusStream(this.#engine, owner, name, isAuthorized);
    this.#open.add(stream);
    stream.once('close', () => {
      this.#open.delete(stream);
      leave();
    });
    try {
      // Watched first, asked then: a change in between is not missed.
      stream.start(await this.#engine.status(owner, name));
    } catch (error) {
      stream.destroy();
      throw error;
    }
    if (this.#closed) stream.finish();
    return stream;
  }

  /** Ends all of them, for a server that stops; clients come back and ask again. */
  close(): void {
    this.#closed = true;
    for (const stream of this.#open) stream.finish();
  }
}
