/**
 * Memory for bytes on their way from files to sockets: blocks of 4 KiB to 1 MiB, cut from slabs by halving and put together again.
 *
 *     slab of 1 MiB    [ 256K        | 64K | 64K | 4K 4K … |           512K              ]
 *                        lent          lent  free
 *
 * However many clients there are, no more than the budget is ever held. What is left decides how large a block may still be: the
 * last quarter is kept for the smallest, so that those who read fast and hold much leave room for thousands who read slowly and
 * hold little.
 */

const SMALLEST = 4 * 1024;
/** 4 KiB × 2^8. */
const TOP_ORDER = 8;
export const SLAB_BYTES = SMALLEST << TOP_ORDER;
/** Blocks above this size are only lent while half of the budget is free. */
const MIDDLE = 64 * 1024;

export interface Block {
  readonly bytes: Buffer;
  /** Number of its first 4 KiB, counted over all slabs. */
  readonly place: number;
  /** 4 KiB × 2^order. */
  readonly order: number;
}

/** A place in the queue for memory. */
export interface Wait {
  /** Null when left before anything was free. */
  readonly block: Promise<Block | null>;
  leave(): void;
}

interface Waiter {
  bytes: number;
  resolve(block: Block | null): void;
}

export class BlockPool {
  readonly #mostSlabs: number;
  readonly #slabs: Buffer[] = [];
  /** By order: the places of free blocks. */
  readonly #free: Set<number>[] = Array.from({ length: TOP_ORDER + 1 }, () => new Set());
  readonly #waiters = new Set<Waiter>();
  #lent = 0;

  /** @param bytes the budget, rounded down to whole slabs, at least one */
  constructor(bytes: number) {
    this.#mostSlabs = Math.max(1, Math.floor(bytes / SLAB_BYTES));
  }

  get budget(): number {
    return this.#mostSlabs * SLAB_BYTES;
  }

  /** Bytes of blocks that somebody holds. */
  get lent(): number {
    return this.#lent;
  }

  /** How many wait for a block. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** A block for up to `bytes`; a smaller one when memory is short; null when there is none or others wait for it. */
  take(bytes: number): Block | null {
    return this.#waiters.size > 0 ? null : this.#lend(bytes);
  }

  /** As `take`, in turn. */
  wait(bytes: number): Wait {
    const { promise, resolve } = deferred<Block | null>();
    const waiter = { bytes, resolve };
    this.#waiters.add(waiter);
    this.#serve();
    return {
      block: promise,
      leave: () => {
        if (this.#waiters.delete(waiter)) resolve(null);
      },
    };
  }

  /** Exactly once for each block; nobody may touch its bytes afterwards. */
  give(block: Block): void {
    this.#lent -= block.bytes.length;
    let { place, order } = block;
    for (; order < TOP_ORDER; order += 1) {
      // The other half of what this was cut from differs in one bit of its place.
      if (!this.#free[order]?.delete(place ^ (1 << order))) break;
      place &= ~(1 << order);
    }
    this.#free[order]?.add(place);
    this.#serve();
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      const block = this.#lend(waiter.bytes);
      if (block === null) return;
      this.#waiters.delete(waiter);
      waiter.resolve(block);
    }
  }

  #lend(bytes: number): Block | null {
    for (let order = orderFor(bytes); order >= 0; order -= 1) {
      const size = SMALLEST << order;
      if (this.#lent + size > this.budget - this.#reserve(size)) continue;
      const place = this.#cut(order);
      if (place === null) continue;
      this.#lent += size;
      const at = (place % (1 << TOP_ORDER)) * SMALLEST;
      const slab = this.#slabs[place >> TOP_ORDER] as Buffer;
      return { bytes: slab.subarray(at, at + size), place, order };
    }
    return null;
  }

  /** What must stay free when a block of this size is lent. */
  #reserve(size: number): number {
    if (size > MIDDLE) return this.budget / 2;
    return size > SMALLEST ? this.budget / 4 : 0;
  }

  /** The place of a free block of this order, cut out of a larger one if need be. */
  #cut(order: number): number | null {
    let from = order;
    while (from <= TOP_ORDER && this.#free[from]?.size === 0) from += 1;
    if (from > TOP_ORDER) {
      if (this.#slabs.length >= this.#mostSlabs) return null;
      this.#free[TOP_ORDER]?.add(this.#slabs.length << TOP_ORDER);
      this.#slabs.push(Buffer.allocUnsafeSlow(SLAB_BYTES));
      from = TOP_ORDER;
    }
    const [place = 0] = this.#free[from] as Set<number>;
    this.#free[from]?.delete(place);
    while (from > order) {
      from -= 1;
      this.#free[from]?.add(place + (1 << from));
    }
    return place;
  }
}

/** The smallest order that holds so many bytes, or the largest there is. */
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
