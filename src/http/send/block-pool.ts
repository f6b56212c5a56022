/**
 * Memory for bytes on their way from files to sockets: blocks of 4 KiB to 1 MiB, cut from slabs by halving and put together again.
 *
 *     slab of 1 MiB    [ 256K        | 64K | 64K | 4K 4K … |           512K              ]
 *                        lent          lent  free
 *
 * However many clients there are, no more than the budget is ever held:
 *
 *     proven: half          those who have shown that they read, in blocks of any size
 *     new: a quarter        everybody, up to 64 KiB
 *     small: a quarter      everybody, 4 KiB
 *
 * So thousands who ask and then do not read leave the fast ones room, and the other way round.
 */

const SMALLEST = 4 * 1024;
/** Largest block of the share `new`. */
const NEW_BYTES = 64 * 1024;
/** 4 KiB × 2^8. */
const TOP_ORDER = 8;
export const SLAB_BYTES = SMALLEST << TOP_ORDER;

export interface Block {
  readonly bytes: Buffer;
  /** Number of its first 4 KiB, counted over all slabs. */
  readonly place: number;
  /** 4 KiB × 2^order. */
  readonly order: number;
  readonly share: Share;
}

type Share = 'proven' | 'new' | 'small';

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
  /** Each kind has its own queue: the proven do not wait for newcomers. */
  readonly #queues = { proven: new Set<Waiter>(), new: new Set<Waiter>() };
  #lent = 0;
  readonly #lentOf: Record<Share, number> = { proven: 0, new: 0, small: 0 };

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
    return this.#queues.proven.size + this.#queues.new.size;
  }

  /**
   * A block for up to `bytes`; a smaller one when memory is short; null if none is free or others of its kind wait.
   * @param proven the client has shown that it reads
   */
  take(bytes: number, proven: boolean): Block | null {
    return this.#queues[proven ? 'proven' : 'new'].size > 0 ? null : this.#lend(bytes, proven);
  }

  /** As `take`, in turn. */
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

  /** Exactly once for each block; nobody may touch its bytes afterwards. */
  give(block: Block): void {
    this.#count(block, -1);
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
      const place = share && this.#cut(order);
      if (share === null || place === null) continue;
      const at = (place % (1 << TOP_ORDER)) * SMALLEST;
      const slab = this.#slabs[place >> TOP_ORDER] as Buffer;
      const block = { bytes: slab.subarray(at, at + size), place, order, share };
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
