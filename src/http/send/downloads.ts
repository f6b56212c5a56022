/**
 * All downloads of a server and the memory that they share.
 *
 * Blocks come from one pool with a budget (`block-pool.ts`), so memory is bounded by a setting and not by the number of clients. Each
 * client gets blocks as large as it is fast (`pace.ts`); one that accepts nothing for the idle time is cut; and while others wait
 * for memory, so is one that has held a block much longer than a modest line needs for it.
 */
import type { EventEmitter } from 'node:events';
import { BlockPool, SLAB_BYTES } from './block-pool.ts';
import { Pace } from './pace.ts';
import { type Response, ResponseWriter } from './response-writer.ts';
import type { Source } from './sources.ts';

export interface PumpOptions {
  /** Memory for bytes on their way, for all downloads together. */
  bytes: number;
  /** A client that accepts no byte for so long is cut. */
  idleMs: number;
  /** A request that gets no memory for so long is refused as `overloaded`. */
  patienceMs?: number;
  /** Largest block of one client; at most 1 MiB. */
  mostBlock?: number;
  /** While others wait for memory, a block may be held for so long and what a line of 32 KiB/s needs for it. */
  heldMs?: number;
}

/** With more transfers than this, their reads and writes overlap without reading ahead. */
const READ_AHEAD_MOST = 2;
const PATIENCE_MS = 10_000;
const TICK_MS = 1_000;
const HELD_MS = 5_000;
const HELD_BYTES_PER_MS = 32;

/** What is known of one connection, however many requests come over it. */
class Connection {
  readonly pace: Pace;
  readonly transfers = new Set<ResponseWriter>();

  constructor(pace: Pace) {
    this.pace = pace;
  }
}

export class Downloads {
  readonly pool: BlockPool;
  readonly #options: Required<PumpOptions>;
  readonly #connections = new WeakMap<EventEmitter, Connection>();
  readonly #transfers = new Set<ResponseWriter>();
  #ticking: NodeJS.Timeout | null = null;

  constructor(options: PumpOptions) {
    this.#options = { patienceMs: PATIENCE_MS, mostBlock: SLAB_BYTES, heldMs: HELD_MS, ...options };
    this.pool = new BlockPool(options.bytes);
  }

  /** Downloads under way. */
  get active(): number {
    return this.#transfers.size;
  }

  /**
   * Reads the first block, so that what fails at once can still be answered with an error; `send` of the transfer then sends it
   * all. The source is the caller's, who lets go of it after a failure here or when `send` has resolved.
   * @throws LadingError `overloaded` when there is no memory for long
   */
  async begin(response: Response, source: Source): Promise<ResponseWriter> {
    const connection = this.#connectionOf(response);
    const transfer = new ResponseWriter(response, source, {
      pool: this.pool,
      pace: connection.pace,
      fewAreActive: () => this.#transfers.size <= READ_AHEAD_MOST,
      onEnd: () => {
        this.#transfers.delete(transfer);
        connection.transfers.delete(transfer);
      },
    });
    this.#transfers.add(transfer);
    connection.transfers.add(transfer);
    this.#ticking ??= setInterval(() => this.#tick(), Math.min(TICK_MS, this.#options.idleMs / 4)).unref();
    await transfer.prepare(this.#options.patienceMs);
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

  /** Cuts those that have held memory too long while others wait for it, the worst first. */
  #relieve(most: number): void {
    const { heldMs } = this.#options;
    const overdue = [...this.#transfers]
      .map((transfer) => ({ transfer, ms: transfer.heldMs - heldMs - transfer.heldBytes / HELD_BYTES_PER_MS }))
      .filter(({ ms }) => ms > 0)
      .sort((a, b) => b.ms - a.ms);
    for (const { transfer } of overdue.slice(0, most)) transfer.cut('idle');
  }

  #connectionOf(response: Response): Connection {
    const carrier: EventEmitter | undefined = 'stream' in response ? response.stream.session : response.req.socket;
    const known = carrier && this.#connections.get(carrier);
    if (known) return known;
    const connection = new Connection(new Pace(this.#options.mostBlock));
    if (!carrier) return connection;
    this.#connections.set(carrier, connection);
    carrier.once('close', () => {
      for (const transfer of connection.transfers) transfer.close();
    });
    return connection;
  }
}
