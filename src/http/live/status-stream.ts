/** Sends status objects as server-sent events (WHATWG, "Server-sent events"). */
import { Readable } from 'node:stream';
import type { Engine } from '../../engine/engine.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import type { Principal } from '../../records/principal.ts';
import type { StreamLimits } from '../access/stream-limits.ts';

/** Interval between two events: at most four per second (PROTOCOL §2). */
const SPACING_MS = 250;
/** Interval of comments, which keep proxies from closing an idle stream and detect clients that have left. */
const HEARTBEAT_MS = 15_000;

/** True if `Accept` contains the type of event streams with a weight above 0. */
export function wantsEvents(accept: string | undefined): boolean {
  return (
    accept?.split(',').some((range) => /^\s*text\/event-stream\s*(;(?!\s*q\s*=\s*0(\.0*)?\s*$).*)?$/i.test(range)) ??
    false
  );
}

/** Id of the event for a complete file, which differs for each version of the file. */
function completeId({ etag }: FileStatus): string {
  return (etag ?? '').replaceAll('"', '');
}

/**
 * True if a client has already received the complete status of this version. An `EventSource` reconnects after every end of a stream until
 * it gets 204.
 * @param lastId `Last-Event-ID`; an id that this server did not send counts as that of this version
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
  /** True if the status changed since the last event. */
  #changed = false;
  /** True while the client does not read. Then only the newest status is sent. */
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

  /** Sends the first status. The stream ends after a complete status. */
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

  /** Ends the stream after the events that were sent. */
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

/** All open streams of a server. */
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
   * Opens a stream for a file.
   * @param principal the principal whose limit applies
   * @param isAuthorized false once the principal may no longer see the file; then the stream ends
   * @throws LadingError `overloaded` when too many are open, in total or of the principal
   */
  async open(
    owner: string,
    name: string,
    principal: Pick<Principal, 'tenant' | 'id'>,
    isAuthorized: () => boolean,
  ): Promise<Readable> {
    const leave = this.#limits.enter(principal);
    const stream = new StatusStream(this.#engine, owner, name, isAuthorized);
    this.#open.add(stream);
    stream.once('close', () => {
      this.#open.delete(stream);
      leave();
    });
    try {
      // The stream already watches the file, so that no change after this status is missed.
      stream.start(await this.#engine.status(owner, name));
    } catch (error) {
      stream.destroy();
      throw error;
    }
    if (this.#closed) stream.finish();
    return stream;
  }

  /** Ends all streams when the server stops. The clients reconnect later. */
  close(): void {
    this.#closed = true;
    for (const stream of this.#open) stream.finish();
  }
}
