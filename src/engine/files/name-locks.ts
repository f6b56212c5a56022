/** Locks on names. An operation that creates an upload or gives a name to another file holds the lock; all others wait. */
export class NameLocks {
  readonly #held = new Map<string, Promise<unknown>>();

  /** The operation that holds the lock of this key; undefined when it is free. */
  holder(key: string): Promise<unknown> | undefined {
    return this.#held.get(key);
  }

  /** Waits until the key is free, then runs `work` while holding its lock. */
  async hold<T>(key: string, work: () => Promise<T>): Promise<T> {
    // Do not await between the last check and `run`, or another waiter could take the lock too.
    for (let holder = this.#held.get(key); holder; holder = this.#held.get(key)) await holder.catch(() => {});
    return await this.run(key, work);
  }

  /** Runs `work` at once while holding the lock of the key, which must be free. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const running = work().finally(() => this.#held.delete(key));
    this.#held.set(key, running);
    return running;
  }
}
