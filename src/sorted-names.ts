/**
 * Names in the order of their UTF-16 code units. Lookups are binary searches. Appending the last name is cheap; any other insertion moves the
 * names after it.
 */
export class SortedNames {
  readonly #names: string[];

  /** @param names in any order, each once */
  constructor(names: string[] = []) {
    this.#names = names.sort();
  }

  /** Adds a name that is not in the list yet. */
  add(name: string): void {
    const last = this.#names.at(-1);
    if (last === undefined || last < name) this.#names.push(name);
    else this.#names.splice(this.#lowerBound(name), 0, name);
  }

  remove(name: string): void {
    const at = this.#lowerBound(name);
    if (this.#names[at] === name) this.#names.splice(at, 1);
  }

  /** At most `limit` names that begin with `prefix` and sort after `after`. */
  page(prefix: string, after: string | null, limit: number): string[] {
    const from = after === null || after < prefix ? this.#lowerBound(prefix) : this.#lowerBound(after);
    const page: string[] = [];
    for (let at = from; at < this.#names.length && page.length < limit; at += 1) {
      const name = this.#names[at];
      if (name === undefined || !name.startsWith(prefix)) break;
      if (name !== after) page.push(name);
    }
    return page;
  }

  /** The index of the first name that does not sort before `name`. */
  #lowerBound(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
