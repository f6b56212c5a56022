import type { Series } from './plan.ts';

/** Builds the request heads of a series. Constant parts are prepared once. */
export class HeadTemplate {
  private readonly parts: { literal: string; field: 'start' | 'end' | 'index' | null }[] = [];

  constructor(head: string) {
    let rest = `${head}\r\n\r\n`;
    for (;;) {
      const match = /\{(start|end|index)\}/.exec(rest);
      if (match === null) break;
      this.parts.push({ literal: rest.slice(0, match.index), field: match[1] as 'start' | 'end' | 'index' });
      rest = rest.slice(match.index + match[0].length);
    }
    this.parts.push({ literal: rest, field: null });
  }

  /** `index` is the position in chunks of `bytes`. */
  render(index: number, bytes: number): string {
    let text = '';
    for (const { literal, field } of this.parts) {
      text += literal;
      if (field === 'start') text += index * bytes;
      else if (field === 'end') text += index * bytes + bytes - 1;
      else if (field === 'index') text += index;
    }
    return text;
  }
}

/** The positions of a series, in the order of sending. */
export function positions({ order }: Series): Uint32Array {
  if (order.kind === 'sequential')
    return Uint32Array.from({ length: order.count }, (_, i) => (order.first + i) % order.slots);
  const all = Uint32Array.from({ length: order.slots }, (_, i) => i);
  let state = order.seed >>> 0 || 1;
  for (let i = all.length - 1; i > 0; i--) {
    // xorshift32: reproducible, and fast enough for 100,000 positions.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    const swap = all[i] as number;
    all[i] = all[j] as number;
    all[j] = swap;
  }
  return all.subarray(order.first, order.first + order.count);
}

/** Writes the 17-byte chunk header: start, inclusive end, sum of the data modulo 256. */
export function writeFrame(into: Buffer, at: number, index: number, bytes: number, checksum: number): void {
  into.writeBigUInt64BE(BigInt(index) * BigInt(bytes), at);
  into.writeBigUInt64BE(BigInt(index) * BigInt(bytes) + BigInt(bytes - 1), at + 8);
  into[at + 16] = checksum;
}
