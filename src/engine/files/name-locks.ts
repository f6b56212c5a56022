/** Names that one operation holds: it creates an upload, or another file takes the name. Every other operation waits. */
export class NameLocks {
  readonly #held = new Map<string, Promise<unknown>>();

  /** The operation that holds this key; undefined when it is free. */
  holder(key: string): Promise<unknown> | undefined {
    return this.#held.get(key);
  }

  /** Waits until the key is free, then runs `work` and holds the key meanwhile. */
  async hold<T>(key: string, work: () => Promise<T>): Promise<T> {
    // No await may separate the last check from `run`: another waiter would take the key as well.
    for (let holder = this.#held.get(key); holder; holder = this.#held.get(key)) await holder.catch(() => {});
    return await this.run(key, work);
  }

  /** Runs `work` at once and holds the key meanwhile. The caller has made sure that the key is free. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const running = work().finally(() => this.#held.delete(key));
    this.#held.set(key, running);
    return running;
  }
}
