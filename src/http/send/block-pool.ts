/**
 * Memory for bytes on their way from files to sockets: a buddy allocator with blocks of 4 KiB to 1 MiB.
 *
 *     slab of 1 MiB    [ 256K        | 64K | 64K | 4K 4K … |           512K              ]
 *                        lent          lent  free
 *
 * The blocks in use never exceed the budget. Three shares divide it:
 *
 *     proven   1/2   for clients that have shown that they read, blocks of any size
 *     new      1/4   for all clients, blocks up to 64 KiB
 *     small    1/4   for all clients, blocks of 4 KiB
 *
 * So thousands of clients that do not read leave memory for fast ones, and vice versa.
 */

const SMALLEST = 4 * 1024;
/** Largest block of the share `new`. */
const NEW_BYTES = 64 * 1024;
/** 4 KiB × 2^8. */
const TOP_ORDER = 8;
export const SLAB_BYTES = SMALLEST << TOP_ORDER;

/** A block in use. Return it with `give`. */
export interface Block {
  readonly bytes: Buffer;
  /** Number of the first 4 KiB unit of the block, counted over all slabs. */
  readonly unit: number;
  /** 4 KiB × 2^order. */
  readonly order: number;
  readonly share: Share;
}

type Share = 'proven' | 'new' | 'small';

/** A position in the queue for memory. */
export interface Wait {
  /** Null if the waiter left the queue first. */
  readonly block: Promise<Block | null>;
  leave(): void;
}

interface Waiter {
  bytes: number;
  resolve(block: Block | null): void;
}

/** The pool of one server. */
export class BlockPool {
  readonly #maxSlabs: number;
  readonly #slabs: Buffer[] = [];
  /** The first units of free blocks, by order. */
  readonly #free: Set<number>[] = Array.from({ length: TOP_ORDER + 1 }, () => new Set());
  /** Proven and new clients have separate queues, so that the former do not wait for the latter. */
  readonly #queues = { proven: new Set<Waiter>(), new: new Set<Waiter>() };
  #lent = 0;
  readonly #lentOf: Record<Share, number> = { proven: 0, new: 0, small: 0 };

  /** @param bytes the budget, rounded down to whole slabs, at least one */
  constructor(bytes: number) {
    this.#maxSlabs = Math.max(1, Math.floor(bytes / SLAB_BYTES));
  }

  get budget(): number {
    return this.#maxSlabs * SLAB_BYTES;
  }

  /** Bytes of the blocks in use. */
  get lent(): number {
    return this.#lent;
  }

  /** Number of waiters. */
  get waiting(): number {
    return this.#queues.proven.size + this.#queues.new.size;
  }

  /**
   * Returns a block for up to `bytes`, or a smaller one if memory is short; null if none is free or others wait in the same queue.
   * @param proven the client has shown that it reads
   */
  take(bytes: number, proven: boolean): Block | null {
    return this.#queues[proven ? 'proven' : 'new'].size > 0 ? null : this.#lend(bytes, proven);
  }

  /** Like `take`, but waits in the queue. */
  wait(bytes: number, proven: boolean): Wait {
    const { promise, resolve } = deferred<Block | null>();
    const waiter = { bytes, resolve };
    const queue = this.#queues[proven ? 'proven' : 'new'];
    queue.add(waiter);
    this.#serve();
    return {
      block: promise,
      leave: () => {
        if (queue.delete(waiter)) resolve(null);
      },
    };
  }

  /** Returns a block to the pool. Call it exactly once for each block, and do not use its bytes afterwards. */
  give(block: Block): void {
    this.#count(block, -1);
    let { unit, order } = block;
    for (; order < TOP_ORDER; order += 1) {
      // The buddy of a block differs in one bit of its unit.
      if (!this.#free[order]?.delete(unit ^ (1 << order))) break;
      unit &= ~(1 << order);
    }
    this.#free[order]?.add(unit);
    this.#serve();
  }

  #serve(): void {
    this.#serveQueue(this.#queues.proven, true);
    this.#serveQueue(this.#queues.new, false);
  }

  #serveQueue(queue: Set<Waiter>, proven: boolean): void {
    for (const waiter of queue) {
      const block = this.#lend(waiter.bytes, proven);
      if (block === null) return;
      queue.delete(waiter);
      waiter.resolve(block);
    }
  }

  #lend(bytes: number, proven: boolean): Block | null {
    for (let order = orderFor(bytes); order >= 0; order -= 1) {
      const size = SMALLEST << order;
      const share = this.#shareFor(size, proven);
      const unit = share && this.#split(order);
      if (share === null || unit === null) continue;
      const at = (unit % (1 << TOP_ORDER)) * SMALLEST;
      const slab = this.#slabs[unit >> TOP_ORDER] as Buffer;
      const block = { bytes: slab.subarray(at, at + size), unit, order, share };
      this.#count(block, 1);
      return block;
    }
    return null;
  }

  #shareFor(size: number, proven: boolean): Share | null {
    const { budget } = this;
    if (proven && this.#lentOf.proven + size <= budget / 2) return 'proven';
    if (size <= NEW_BYTES && this.#lentOf.new + size <= budget / 4) return 'new';
    return size === SMALLEST && this.#lentOf.small + size <= budget / 4 ? 'small' : null;
  }

  #count({ bytes, share }: Block, sign: 1 | -1): void {
    this.#lent += sign * bytes.length;
    this.#lentOf[share] += sign * bytes.length;
  }

  /** The first unit of a free block of this order. Splits a larger block if necessary. */
  #split(order: number): number | null {
    let from = order;
    while (from <= TOP_ORDER && this.#free[from]?.size === 0) from += 1;
    if (from > TOP_ORDER) {
      if (this.#slabs.length >= this.#maxSlabs) return null;
      this.#free[TOP_ORDER]?.add(this.#slabs.length << TOP_ORDER);
      this.#slabs.push(Buffer.allocUnsafeSlow(SLAB_BYTES));
      from = TOP_ORDER;
    }
    const [unit = 0] = this.#free[from] as Set<number>;
    this.#free[from]?.delete(unit);
    while (from > order) {
      from -= 1;
      this.#free[from]?.add(unit + (1 << from));
    }
    return unit;
  }
}

/** The smallest order that holds `bytes`, or the largest order. */
function orderFor(bytes: number): number {
  let order = 0;
  while (order < TOP_ORDER && SMALLEST << order < bytes) order += 1;
  return order;
}

function deferred<T>(): { promise: Promise<T>; resolve(value: T): void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
