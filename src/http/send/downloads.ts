/**
 * All downloads of a server and the memory that they share.
 *
 * All blocks come from one pool with a budget (`block-pool.ts`), so that a setting limits the memory, not the number of clients. The size of
 * a block depends on the speed of the client (`pace.ts`). A client that accepts no bytes for the idle time is cut off. While others wait for
 * memory, a client is also cut off if it holds a block much longer than a slow line would need.
 */
import type { EventEmitter } from 'node:events';
import { BlockPool, SLAB_BYTES } from './block-pool.ts';
import { Pace } from './pace.ts';
import { type Response, ResponseWriter } from './response-writer.ts';
import type { Source } from './sources.ts';

/** Limits of all downloads. */
export interface DownloadOptions {
  /** Memory of all downloads, in bytes. */
  bytes: number;
  /** A client that accepts no bytes for this time is cut off. */
  idleMs: number;
  /** A request that gets no memory within this time is refused with `overloaded`. */
  maxWaitMs?: number;
  /** Limit of a block of one client, in bytes; at most 1 MiB. */
  maxBlock?: number;
  /** While others wait for memory, a client may hold a block for this time plus the time that a line of 32 KiB/s needs for it. */
  heldMs?: number;
}

/** With more downloads than this, reads and writes overlap without reading ahead. */
const READ_AHEAD_LIMIT = 2;
const MAX_WAIT_MS = 10_000;
const TICK_MS = 1_000;
const HELD_MS = 5_000;
const HELD_BYTES_PER_MS = 32;

/** The state of one connection, which may carry many downloads. */
class Connection {
  readonly pace: Pace;
  readonly transfers = new Set<ResponseWriter>();

  constructor(pace: Pace) {
    this.pace = pace;
  }
}

/** The downloads of a server. */
export class Downloads {
  readonly pool: BlockPool;
  readonly #options: Required<DownloadOptions>;
  readonly #connections = new WeakMap<EventEmitter, Connection>();
  readonly #transfers = new Set<ResponseWriter>();
  #ticking: NodeJS.Timeout | null = null;

  constructor(options: DownloadOptions) {
    this.#options = { maxWaitMs: MAX_WAIT_MS, maxBlock: SLAB_BYTES, heldMs: HELD_MS, ...options };
    this.pool = new BlockPool(options.bytes);
  }

  /** Number of running downloads. */
  get active(): number {
    return this.#transfers.size;
  }

  /**
   * Prepares a download and reads its first block, so that an early failure can still be answered with an error. The caller then calls `send`
   * of the result. The caller also releases the source, after a failure here or when `send` has resolved.
   * @throws LadingError `overloaded` if there is no memory for a while
   */
  async begin(response: Response, source: Source): Promise<ResponseWriter> {
    const connection = this.#connectionOf(response);
    const transfer = new ResponseWriter(response, source, {
      pool: this.pool,
      pace: connection.pace,
      fewAreActive: () => this.#transfers.size <= READ_AHEAD_LIMIT,
      onEnd: () => {
        this.#transfers.delete(transfer);
        connection.transfers.delete(transfer);
      },
    });
    this.#transfers.add(transfer);
    connection.transfers.add(transfer);
    this.#ticking ??= setInterval(() => this.#tick(), Math.min(TICK_MS, this.#options.idleMs / 4)).unref();
    await transfer.prepare(this.#options.maxWaitMs);
    return transfer;
  }

  #tick(): void {
    if (this.#transfers.size === 0 && this.#ticking) {
      clearInterval(this.#ticking);
      this.#ticking = null;
      return;
    }
    for (const transfer of this.#transfers) if (transfer.heldMs > 0) transfer.limitIdle(this.#options.idleMs);
    const { waiting } = this.pool;
    if (waiting > 0) this.#relieve(waiting);
  }

  /** Cuts off up to `count` clients that have held memory for too long, those with the longest delay first. */
  #relieve(count: number): void {
    const { heldMs } = this.#options;
    const overdue = [...this.#transfers]
      .map((transfer) => ({ transfer, ms: transfer.heldMs - heldMs - transfer.heldBytes / HELD_BYTES_PER_MS }))
      .filter(({ ms }) => ms > 0)
      .sort((a, b) => b.ms - a.ms);
    for (const { transfer } of overdue.slice(0, count)) transfer.cut('idle');
  }

  #connectionOf(response: Response): Connection {
    const carrier: EventEmitter | undefined = 'stream' in response ? response.stream.session : response.req.socket;
    const known = carrier && this.#connections.get(carrier);
    if (known) return known;
    const connection = new Connection(new Pace(this.#options.maxBlock));
    if (!carrier) return connection;
    this.#connections.set(carrier, connection);
    carrier.once('close', () => {
      for (const transfer of connection.transfers) transfer.close();
    });
    return connection;
  }
}
