/** Extents of one upload that requests are receiving. No two overlap, so two requests never write the same byte. */
import { MAX_OFFSET } from '../../protocol/chunk.ts';
import { type Extent, ExtentSet } from '../../protocol/extents.ts';

/** The extent of every byte that a file can have. */
export const ALL_BYTES: Extent = { start: 0, end: MAX_OFFSET };

interface Reservation {
  overlaps(extent: Extent): boolean;
  done: Promise<void>;
  finish(): void;
  /** Number of requests that wait for some of its bytes. */
  waiting: number;
}

/** An extent that one request receives. */
export interface ReservedExtent {
  /** True while another request waits for some of its bytes; usually the same client on a new connection. */
  readonly isWanted: boolean;
  release(): void;
}

/** Extents that one request reserves one by one and releases together. */
export interface ReservedExtents {
  /** Reserves another extent. False if some of it is reserved already, by this request or another. */
  tryAdd(extent: Extent): boolean;
  release(): void;
}

export class Reservations {
  readonly #reservations: Reservation[] = [];

  /**
   * Waits until no other request receives bytes of this extent, then reserves it until it is released (PROTOCOL §4: the second of two
   * requests for one range waits for the first).
   * @param failed rejects when the waiting request ends
   */
  async reserve(extent: Extent, failed: Promise<never>): Promise<ReservedExtent> {
    for (;;) {
      const reserved = this.tryReserve(extent);
      if (reserved) return reserved;
      await this.whenFree(extent, failed);
    }
  }

  /** Reserves the extent if no request receives bytes of it now; otherwise null. */
  tryReserve(extent: Extent): ReservedExtent | null {
    if (this.#blocker(extent)) return null;
    const reservation = this.#add((other) => extent.start <= other.end && other.start <= extent.end);
    return {
      get isWanted() {
        return reservation.waiting > 0;
      },
      release: () => this.#release(reservation),
    };
  }

  /** Reserves many extents, none at first. */
  reserveMany(): ReservedExtents {
    // This set is used for its ranges only; the checksums are dummies.
    const extents = new ExtentSet();
    const reservation = this.#add((other) => extents.overlaps(other));
    return {
      tryAdd: (extent) => {
        if (this.#blocker(extent)) return false;
        extents.add(extent, 0);
        return true;
      },
      release: () => this.#release(reservation),
    };
  }

  /**
   * Waits for the request that receives bytes of this extent now. Afterwards another request may have reserved them. A request that waits
   * must hold no reservation itself, or two could wait for each other.
   * @param failed rejects when the waiting request itself ends
   */
  async whenFree(extent: Extent, failed?: Promise<never>): Promise<void> {
    const blocker = this.#blocker(extent);
    if (!blocker) return;
    blocker.waiting += 1;
    try {
      await (failed ? Promise.race([blocker.done, failed]) : blocker.done);
    } finally {
      blocker.waiting -= 1;
    }
  }

  #add(overlaps: (extent: Extent) => boolean): Reservation {
    let finish = (): void => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const reservation: Reservation = { overlaps, done, finish, waiting: 0 };
    this.#reservations.push(reservation);
    return reservation;
  }

  #release(reservation: Reservation): void {
    const index = this.#reservations.indexOf(reservation);
    if (index < 0) return;
    this.#reservations.splice(index, 1);
    reservation.finish();
  }

  #blocker(extent: Extent): Reservation | undefined {
    return this.#reservations.find((other) => other.overlaps(extent));
  }
}
