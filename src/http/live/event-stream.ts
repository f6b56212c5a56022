/** Sends events as server-sent events to principals who may see them. A stream resumes where a broken one ended. */
import { Readable } from 'node:stream';
import type { EmittedEvent, Events, Position } from '../../events/events.ts';

/** A regular comment keeps proxies from closing a quiet stream and detects clients that have left. */
const HEARTBEAT_MS = 15_000;
/** Events sent in one turn, so that other streams are served too. */
const MAX_AT_ONCE = 256;

/** Reads the events from a position on. It does not buffer for a slow client: `Events` keeps the events. */
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
   * @param isAuthorized false once the principal may no longer receive events; then the stream ends
   * @param plain without the targets that files are delivered to
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
    // Before anything happens: proxies and clients see that the stream is open, and how soon to come back.
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
    for (let turns = 0; turns < MAX_AT_ONCE && !this.#full; turns += 1) {
      const emitted = this.#events.read(this.#position);
      if (this.#position.lost) {
        this.#position.lost = false;
        this.#full = !this.push('event: lost\ndata: {"type":"lost"}\n\n');
        continue;
      }
      if (emitted === null) return;
      this.#position.next += 1;
      if (!this.#isVisible(emitted)) continue;
      const { event: whole, plainDetail } = emitted;
      const event = this.#plain && plainDetail !== undefined ? { ...whole, detail: plainDetail } : whole;
      this.#full = !this.push(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    }
    this.#schedule();
  }

  /** Ends the stream after what was sent. */
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
