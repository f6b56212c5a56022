/** The plain model of one file: a cell for each byte. */

export type Fault = 'none' | 'checksum' | 'crc' | 'bytes' | 'short' | 'long' | 'broken';

/** The simplest model of a file: one cell for each byte. */
export class Model {
  cells: (number | null)[] = [];
  size: number | null = null;
  sealed = false;
  visible = false;
  /** It was sealed after a silence, so a chunk past its end continues it. */
  silent = false;
  /** Bytes that were complete when it was continued. */
  kept: number | null = null;
  parked = false;

  reset(): void {
    this.silent = false;
    this.kept = null;
    this.parked = false;
    this.cells = [];
    this.size = null;
    this.sealed = false;
    this.visible = false;
  }

  get received(): number {
    return this.cells.filter((cell) => cell !== null).length;
  }

  get end(): number {
    return this.cells.length;
  }

  get gapless(): boolean {
    return this.received === this.end;
  }

  /** The upload has no gap, so it is readable as a complete file. */
  get complete(): boolean {
    return this.sealed || (this.visible && this.size === null && this.gapless);
  }

  /** The upload received nothing for a long time. */
  silence(): void {
    if (!this.visible || this.sealed) return;
    if (!this.complete) {
      this.parked = true;
      return;
    }
    this.sealed = true;
    this.silent = true;
    this.kept = null;
  }

  /** A chunk past the end of a file that was sealed after a silence makes it an upload again, even if the chunk is refused. */
  goesOn({ start, length }: Send): void {
    if (!this.silent || start + length <= this.end) return;
    this.kept = this.end;
    this.sealed = false;
    this.silent = false;
  }

  /** The unfinished upload is cancelled. */
  cancel(): void {
    const { kept, cells } = this;
    this.reset();
    if (kept === null) return;
    this.cells = cells.slice(0, kept);
    this.visible = true;
    this.sealed = true;
    this.silent = true;
  }

  /** A whole file replaces everything. */
  put(bytes: Uint8Array): void {
    this.reset();
    this.cells = [...bytes];
    this.visible = true;
    this.sealed = true;
  }

  /** The code with which this chunk must be refused; null: accepted. May turn the file into an upload again. */
  refusal(send: Send, bytes: Uint8Array): string | null {
    const last = send.start + send.length - 1;
    if (send.declare !== null && last >= send.declare) return 'out_of_bounds';
    this.goesOn(send);
    const size = this.sealed ? this.end : this.size;
    if (send.declare !== null && size !== null && send.declare !== size) return 'size_conflict';
    if (send.declare !== null && send.declare < this.end) return 'size_conflict';
    if (this.sealed && last >= this.end) return 'file_complete';
    if (!this.sealed && this.size !== null && last >= this.size) return 'out_of_bounds';
    if (send.fault === 'short' || send.fault === 'long' || send.fault === 'broken') return 'length_mismatch';
    if (send.fault === 'checksum' || send.fault === 'crc') return 'checksum_mismatch';
    const differs = bytes.some((byte, i) => (this.cells[send.start + i] ?? byte) !== byte);
    if (differs) return this.sealed ? 'file_complete' : 'chunk_conflict';
    return null;
  }

  store(send: Send, bytes: Uint8Array): void {
    this.visible = true;
    this.size ??= send.declare;
    while (this.cells.length < send.start + send.length) this.cells.push(null);
    bytes.forEach((byte, i) => {
      this.cells[send.start + i] = byte;
    });
    this.parked = false;
    if (this.size === null || this.received !== this.size) return;
    this.sealed = true;
    this.kept = null;
  }
}

export interface Send {
  kind: 'send';
  start: number;
  length: number;
  fault: Fault;
  declare: number | null;
}
