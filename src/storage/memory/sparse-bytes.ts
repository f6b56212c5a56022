/** Bytes with holes. Sectors are never changed in place, so that a copy shares them. */

/** The unit of a disk write. A power failure keeps or loses a sector as a whole. */
const SECTOR = 512;

export class SparseBytes {
  readonly #sectors: Map<number, Uint8Array>;
  #size: number;

  constructor(sectors = new Map<number, Uint8Array>(), size = 0) {
    this.#sectors = sectors;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  copy(): SparseBytes {
    return new SparseBytes(new Map(this.#sectors), this.#size);
  }

  write(position: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const index = Math.floor((position + done) / SECTOR);
      const from = position + done - index * SECTOR;
      const part = bytes.subarray(done, done + SECTOR - from);
      const sector = Uint8Array.from(this.#sectors.get(index) ?? new Uint8Array(SECTOR));
      sector.set(part, from);
      this.#sectors.set(index, sector);
      done += part.length;
    }
    this.#size = Math.max(this.#size, position + bytes.length);
  }

  /** Fills `into` from `position`; holes are zeros. Returns the number of bytes, which is smaller only at the end. */
  read(into: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(into.length, this.#size - position));
    for (let done = 0; done < length; ) {
      const index = Math.floor((position + done) / SECTOR);
      const from = position + done - index * SECTOR;
      const wanted = Math.min(SECTOR - from, length - done);
      const sector = this.#sectors.get(index);
      if (sector) into.set(sector.subarray(from, from + wanted), done);
      else into.fill(0, done, done + wanted);
      done += wanted;
    }
    return length;
  }

  /** Removes everything from `size` on. A larger size adds a hole. */
  truncate(size: number): void {
    const last = Math.floor(size / SECTOR);
    for (const index of [...this.#sectors.keys()]) if (index > last) this.#sectors.delete(index);
    const sector = this.#sectors.get(last);
    if (sector) this.#sectors.set(last, Uint8Array.from(sector).fill(0, size - last * SECTOR));
    this.#size = size;
  }

  /** What may survive a power failure: each sector, and the size, either as last synced or as it is now. */
  tornFrom(synced: SparseBytes, random: () => number): SparseBytes {
    const torn = new SparseBytes();
    for (const index of new Set([...this.#sectors.keys(), ...synced.#sectors.keys()])) {
      const sector = (random() < 0.5 ? this : synced).#sectors.get(index);
      if (sector) torn.#sectors.set(index, sector);
    }
    torn.truncate((random() < 0.5 ? this : synced).#size);
    return torn;
  }
}
