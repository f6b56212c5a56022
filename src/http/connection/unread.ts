/**
 * Ends connections and streams whose client does not read its answer, because unread answers cost memory and descriptors. Each needs
 * progress within the idle time:
 *
 *     connection   the number of bytes that the system has accepted must grow
 *     stream       of HTTP/2: the bytes that wait for the flow control window must change, also if the connection makes progress
 *
 * If many answers to one address are stalled, those that stalled first end sooner.
 */
import type { Server, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse, type Http2Session, type Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { addressOfNode, networkOf } from '../../protocol/ip.ts';
import { carrierOf } from './carrier.ts';
import { handleOf } from './socket-handle.ts';

/** Above the limits below, answers that have stalled for this long are cut off. */
const STALE_MS = 5_000;
/** Limits of stalled answers that may wait for the whole idle time: of one address, and in total. */
const MAX_EACH = 256;
const MAX_TOTAL = 4096;

export interface UnreadOptions {
  /** A client that reads nothing for this long is cut off, in milliseconds. */
  idleMs: number;
  /** Monotonic, in milliseconds. */
  now(): number;
  /** True for a proxy. It has many clients, so only the total limit applies to it. */
  isProxy(address: string): boolean;
  endSession(session: Http2Session): void;
  /** Called with the number of answers that were cut off. */
  onCut(count: number): void;
}

/** Connections and streams whose client may read its answer later. */
const readingLater = new WeakSet<object>();

/**
 * Allows the client of a response to read nothing for now: its request still arrives, and what waits to be sent has a limit of its own. A
 * client that sends nothing either is ended by the limits for request bodies.
 * @returns ends the permission
 */
export function mayReadLater(response: ServerResponse | Http2ServerResponse): () => void {
  const carrier = 'stream' in response ? response.stream : response.socket && carrierOf(response.socket);
  if (!carrier) return () => {};
  readingLater.add(carrier);
  return () => {
    readingLater.delete(carrier);
  };
}

/** A connection or a stream. */
interface Watched {
  /** The network of the client; null for a proxy or if it is unknown. */
  address: string | null;
  /** The session of a stream. */
  session?: Http2Stream['session'];
  /** The progress at the last check, and when it last changed. */
  mark: number | null;
  movedAt: number;
  /** A number that changes with every progress; null if nothing waits to be sent. */
  progress(): number | null;
  end(): void;
}

/** Watches the connections and streams of a server. */
export class UnreadAnswers {
  readonly #options: UnreadOptions;
  readonly #watched = new Set<Watched>();

  constructor(options: UnreadOptions) {
    this.#options = options;
  }

  /** Watches every connection of `server`, and every stream of HTTP/2, until it is closed. */
  watch(server: Server): void {
    server.on('connection', (socket: Socket) => this.#connection(socket));
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      server.on(event, (_request: unknown, response: ServerResponse | Http2ServerResponse) => {
        if ('stream' in response) this.#stream(response.stream);
      });
    }
    const every = Math.min(Math.max(this.#options.idleMs / 8, 100), STALE_MS);
    const timer = setInterval(() => this.#check(), every).unref();
    server.on('close', () => clearInterval(timer));
  }

  #connection(socket: Socket): void {
    const handle = handleOf(socket);
    if (!handle) return;
    const progress = (): number | null => {
      const waiting = handle.writeQueueSize ?? 0;
      return waiting === 0 || readingLater.has(socket) ? null : (handle.bytesWritten ?? 0) - waiting;
    };
    this.#add(socket, { address: this.#addressOf(socket.remoteAddress), progress, end: () => socket.destroy() });
  }

  #stream(stream: Http2Stream): void {
    let drains = 0;
    stream.on('drain', () => {
      drains += 1;
    });
    const { session } = stream;
    const progress = (): number | null => {
      // The answer is sent, but the client does not end its side of the stream.
      if (stream.writableFinished && !stream.closed) return -1;
      return stream.writableLength === 0 || readingLater.has(stream) ? null : drains * 2 ** 32 + stream.writableLength;
    };
    const end = (): void => {
      if (stream.closed) stream.destroy();
      else stream.close(constants.NGHTTP2_CANCEL);
    };
    this.#add(stream, {
      address: this.#addressOf(session && carrierOf(session.socket).remoteAddress),
      session,
      progress,
      end,
    });
  }

  #add(emitter: Socket | Http2Stream, watched: Omit<Watched, 'mark' | 'movedAt'>): void {
    const entry: Watched = { ...watched, mark: null, movedAt: this.#options.now() };
    this.#watched.add(entry);
    emitter.once('close', () => this.#watched.delete(entry));
  }

  #addressOf(remote: string | undefined): string | null {
    const address = addressOfNode(remote ?? '');
    return address === null || this.#options.isProxy(address) ? null : networkOf(address);
  }

  #check(): void {
    const now = this.#options.now();
    const late: Watched[] = [];
    const stale: Watched[] = [];
    for (const watched of this.#watched) {
      const mark = watched.progress();
      if (mark === null || mark !== watched.mark) {
        watched.mark = mark;
        watched.movedAt = now;
      } else if (now - watched.movedAt >= this.#options.idleMs) late.push(watched);
      else if (now - watched.movedAt >= STALE_MS) stale.push(watched);
    }
    const cut = [...late, ...tooMany(stale)];
    if (cut.length > 0) this.#end(cut);
  }

  #end(cut: readonly Watched[]): void {
    const sessions = new Set<NonNullable<Watched['session']>>();
    for (const watched of cut) {
      if (watched.session) sessions.add(watched.session);
      this.#watched.delete(watched);
      watched.end();
    }
    // End sessions that have no other streams.
    for (const { session } of this.#watched) if (session) sessions.delete(session);
    for (const session of sessions) this.#options.endSession(session);
    this.#options.onCut(cut.length);
  }
}

/** The answers above the limits. Those that stalled last are kept. */
function tooMany(stale: readonly Watched[]): Watched[] {
  if (stale.length <= MAX_EACH) return [];
  const each = new Map<string, number>();
  const kept: Watched[] = [];
  const cut: Watched[] = [];
  for (const watched of stale.toSorted((a, b) => b.movedAt - a.movedAt)) {
    const theirs = watched.address === null ? 0 : (each.get(watched.address) ?? 0);
    if (kept.length >= MAX_TOTAL || theirs >= MAX_EACH) cut.push(watched);
    else {
      kept.push(watched);
      if (watched.address !== null) each.set(watched.address, theirs + 1);
    }
  }
  return cut;
}
