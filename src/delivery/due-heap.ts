/** A binary heap of items, ordered by the time at which they are due. */
export class DueHeap<T extends { dueAt: number }> {
  readonly #items: T[] = [];

  /** The item that is due first; undefined if the heap is empty. */
  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let index = items.length;
    items.push(item);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = items[parent] as T;
      if (above.dueAt <= item.dueAt) break;
      items[index] = above;
      index = parent;
    }
    items[index] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const child = (items[left + 1]?.dueAt ?? Infinity) < (items[left]?.dueAt ?? Infinity) ? left + 1 : left;
      const below = items[child];
      if (below === undefined || below.dueAt >= last.dueAt) break;
      items[index] = below;
      index = child;
    }
    items[index] = last;
    return first;
  }
}
