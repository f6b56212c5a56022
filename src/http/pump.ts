/**
 * File bytes to sockets.
 *
 *     file    read A      read B      read A'     …
 *     socket         write A     write B     …          the next read runs while the write before it is under way
 *
 * Blocks come from one pool with a budget (`blocks.ts`), so memory is bounded by a setting and not by the number of clients. Each
 * client gets blocks as large as it is fast (`pace.ts`); one that accepts nothing for the idle time is cut; and while others wait
 * for memory, so is one that has held a block much longer than a modest line needs for it.
 */
import type { ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import { LadingError } from '../errors.ts';
import { type Block, BlockPool, SLAB_BYTES, type Wait } from './blocks.ts';
import { Pace } from './pace.ts';
import { Incomplete, type Source } from './sources.ts';

export interface PumpOptions {
  /** Memory for bytes on their way, for all downloads together. */
  bytes: number;
  /** A client that accepts no byte for so long is cut. */
  idleMs: number;
  /** A request that gets no memory for so long is refused as `overloaded`. */
  patienceMs?: number;
  /** Largest block of one client; at most 1 MiB. */
  mostBlock?: number;
}

/** `left`: the client went away. `idle`: it took nothing for too long. `failed`: bytes were missing; it was cut so that it knows. */
export type Outcome = { kind: 'sent' | 'left' | 'idle' } | { kind: 'failed'; error: Error };

const PATIENCE_MS = 10_000;
const PRESSURE_MS = 1_000;
/** While memory is short, a block may be held for 5 s and what a line of 32 KiB/s needs for it. */
const HELD_MS = 5_000;
const HELD_BYTES_PER_MS = 32;

type Response = ServerResponse | Http2ServerResponse;

/** All downloads of a server. */
export class Pump {
  readonly pool: BlockPool;
  readonly idleMs: number;
  readonly #patienceMs: number;
  readonly #mostBlock: number;
  readonly #paces = new WeakMap<object, Pace>();
  readonly #transfers = new Set<Transfer>();
  #pressure: NodeJS.Timeout | null = null;

  constructor({ bytes, idleMs, patienceMs = PATIENCE_MS, mostBlock = SLAB_BYTES }: PumpOptions) {
    this.pool = new BlockPool(bytes);
    this.idleMs = idleMs;
    this.#patienceMs = patienceMs;
    this.#mostBlock = mostBlock;
  }

  /** Downloads under way. */
  get active(): number {
    return this.#transfers.size;
  }

  /**
   * Reads the first block, so that what fails at once can still be answered with an error; `send` then sends it all. Throws
   * `overloaded` when there is no memory for long. The source is the caller's, who lets go of it when `send` has resolved.
   */
  async begin(response: Response, source: Source): Promise<Transfer> {
    const transfer = new Transfer(this, response, source, this.#paceOf(response));
    this.#transfers.add(transfer);
    try {
      await transfer.prepare(this.#patienceMs);
      return transfer;
    } catch (error) {
      this.end(transfer);
      throw error;
    }
  }

  /** The transfer holds nothing any more. */
  end(transfer: Transfer): void {
    this.#transfers.delete(transfer);
    transfer.end();
  }

  /** A place in the queue for memory; as long as anybody waits, those who hold it too long are looked for. */
  wait(bytes: number): Wait {
    const wait = this.pool.wait(bytes);
    if (this.pool.waiting > 0) this.#pressure ??= setTimeout(() => this.#relieve(), PRESSURE_MS).unref();
    return wait;
  }

  #relieve(): void {
    this.#pressure = null;
    const { waiting } = this.pool;
    if (waiting === 0) return;
    const overdue = [...this.#transfers]
      .map((transfer) => ({ transfer, ms: transfer.heldMs - HELD_MS - transfer.heldBytes / HELD_BYTES_PER_MS }))
      .filter(({ ms }) => ms > 0)
      .sort((a, b) => b.ms - a.ms);
    for (const { transfer } of overdue.slice(0, waiting)) transfer.cut('idle');
    this.#pressure = setTimeout(() => this.#relieve(), PRESSURE_MS).unref();
  }

  /** One for a connection, however many requests come over it. */
  #paceOf(response: Response): Pace {
    const connection = 'stream' in response ? response.stream.session : response.socket;
    const known = connection && this.#paces.get(connection);
    if (known) return known;
    const pace = new Pace(this.#mostBlock);
    if (connection) this.#paces.set(connection, pace);
    return pace;
  }
}

/** A block with bytes in it. */
interface Filled {
  block: Block;
  length: number;
}

/** One response's body on its way. */
export class Transfer {
  readonly #pump: Pump;
  readonly #response: Response;
  readonly #source: Source;
  readonly #pace: Pace;
  readonly #emitter: NodeJS.EventEmitter | null;
  readonly #onClose = (): void => this.#close();
  #first: Filled | null = null;
  #wait: Wait | null = null;
  /** Ends the write under way. */
  #settle: ((accepted: boolean) => void) | null = null;
  #writtenAt = 0;
  #writing = 0;
  #closed = false;
  #cutAs: 'idle' | null = null;

  constructor(pump: Pump, response: Response, source: Source, pace: Pace) {
    this.#pump = pump;
    this.#response = response;
    this.#source = source;
    this.#pace = pace;
    // A response that waits behind another one on its connection hears nothing itself; the socket does.
    this.#emitter = 'stream' in response ? response.stream : (response.req.socket ?? null);
    this.#emitter?.on('close', this.#onClose);
    this.#closed = this.#emitter === null || ('destroyed' in this.#emitter && this.#emitter.destroyed === true);
  }

  /** How long the write under way has taken; 0 when there is none. */
  get heldMs(): number {
    return this.#writing === 0 ? 0 : performance.now() - this.#writtenAt;
  }

  get heldBytes(): number {
    return this.#writing;
  }

  async prepare(patienceMs: number): Promise<void> {
    // Nothing there yet and more on its way: the head goes out first.
    if (this.#source.ready() !== null) return;
    const timer = setTimeout(() => this.#wait?.leave(), patienceMs);
    try {
      this.#first = await this.#next();
    } finally {
      clearTimeout(timer);
    }
    if (this.#first === null && this.#source.remaining !== 0 && !this.#closed) {
      throw new LadingError('overloaded', 'Too many downloads are under way; try again in a moment.', {
        retry_after: 5,
      });
    }
  }
}
