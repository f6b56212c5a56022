/** Streams of server-sent events. A client that reconnects continues where its last stream ended. */
import { Readable } from 'node:stream';
import type { EmittedEvent, Events, Position } from '../../events/events.ts';

/** Interval of comments, which keep proxies from closing an idle stream and detect clients that have left. */
const HEARTBEAT_MS = 15_000;
/** Maximum number of events sent per iteration of the event loop, so that other streams can send too. */
const MAX_AT_ONCE = 256;

/** Sends the events after a position that the principal may see. It does not buffer for slow clients, because `Events` keeps the events. */
export class EventStream extends Readable {
  readonly #events: Events;
  readonly #position: Position;
  readonly #isVisible: (emitted: EmittedEvent) => boolean;
  readonly #isAuthorized: () => boolean;
  readonly #plain: boolean;
  readonly #unlisten: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  #full = false;
  #scheduled = false;

  /**
   * @param lastId id of the last event that the client received; null for new events only
   * @param isVisible true for events that the client requested and the principal may see
   * @param isAuthorized false once the principal may no longer receive events; then the stream ends
   * @param plain true to omit details about delivery targets
   */
  constructor(
    events: Events,
    lastId: string | null,
    isVisible: (emitted: EmittedEvent) => boolean,
    isAuthorized: () => boolean,
    plain: boolean,
  ) {
    super({ highWaterMark: 64 * 1024 });
    this.#events = events;
    this.#position = events.positionAfter(lastId);
    this.#isVisible = isVisible;
    this.#isAuthorized = isAuthorized;
    this.#plain = plain;
    this.#unlisten = events.listen(() => this.#schedule());
    this.#heartbeat = setInterval(() => {
      if (!this.#isAuthorized()) this.finish();
      else if (!this.#full) this.#full = !this.push(':\n\n');
    }, HEARTBEAT_MS);
    // Shows proxies and clients that the stream is open, and how soon to reconnect.
    this.push('retry: 2000\n\n');
    this.#schedule();
  }

  override _read(): void {
    this.#full = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#full || this.destroyed || this.readableEnded) return;
    this.#scheduled = true;
    setImmediate(() => this.#send());
  }

  #send(): void {
    this.#scheduled = false;
    if (this.destroyed || this.readableEnded) return;
    if (!this.#isAuthorized()) {
      this.finish();
      return;
    }
    for (let count = 0; count < MAX_AT_ONCE && !this.#full; count += 1) {
      const emitted = this.#events.read(this.#position);
      if (this.#position.lost) {
        this.#position.lost = false;
        this.#full = !this.push('event: lost\ndata: {"type":"lost"}\n\n');
        continue;
      }
      if (emitted === null) return;
      this.#position.next += 1;
      if (!this.#isVisible(emitted)) continue;
      const { event: full, plainDetail } = emitted;
      const event = this.#plain && plainDetail !== undefined ? { ...full, detail: plainDetail } : full;
      this.#full = !this.push(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    this.#schedule();
  }

  /** Ends the stream after the events that were sent. */
  finish(): void {
    this.#release();
    if (!this.destroyed && !this.readableEnded) this.push(null);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#release();
    done(error);
  }

  #release(): void {
    this.#unlisten();
    clearInterval(this.#heartbeat);
  }
}
