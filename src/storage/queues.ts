/** Queues by key: work of one key runs one after the other, in the order of the calls. Work of different keys runs at the same time. */
export class KeyedQueues {
  /** The end of each queue. */
  readonly #ends = new Map<string, Promise<unknown>>();

  /** Runs `work` after everything that was queued for the key before, whether or not that succeeded. */
  run<R>(key: string, work: () => Promise<R>): Promise<R> {
    const before = this.#ends.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#ends.set(key, mine);
    const done = (): void => {
      if (this.#ends.get(key) === mine) this.#ends.delete(key);
    };
    mine.then(done, done);
    return mine;
  }
}
