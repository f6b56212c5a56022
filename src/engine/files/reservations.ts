/** Extents of one upload that requests receive now. No two of them overlap, so no byte is written by two requests at once. */
import type { Extent } from '../../protocol/extents.ts';

interface Reservation {
  extent: Extent;
  done: Promise<void>;
  /** Requests that wait for bytes of it. */
  waiting: number;
}

/** An extent that one request receives. */
export interface ReservedExtent {
  /** Another request waits for bytes of it: usually the same client on a new connection. */
  readonly isWanted: boolean;
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
      const blocker = this.#blocker(extent);
      if (!blocker) return this.#add(extent);
      blocker.waiting += 1;
      try {
        await Promise.race([blocker.done, failed]);
      } finally {
        blocker.waiting -= 1;
      }
    }
  }

  /** Reserves the extent if no request receives bytes of it now; otherwise null. */
  tryReserve(extent: Extent): ReservedExtent | null {
    return this.#blocker(extent) ? null : this.#add(extent);
  }

  #add(extent: Extent): ReservedExtent {
    let finish = (): void => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const reservation: Reservation = { extent, done, waiting: 0 };
    this.#reservations.push(reservation);
    return {
      get isWanted() {
        return reservation.waiting > 0;
      },
      release: () => {
        this.#reservations.splice(this.#reservations.indexOf(reservation), 1);
        finish();
      },
    };
  }

  #blocker(extent: Extent): Reservation | undefined {
    return this.#reservations.find((other) => other.extent.start <= extent.end && extent.start <= other.extent.end);
  }
}
