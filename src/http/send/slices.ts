/** Large answers in small pieces, so that a client that does not read holds one piece of each and not the whole. */
import { Readable } from 'node:stream';

/** One piece: what a stream takes at a time. */
export const SLICE_BYTES = 16 * 1024;

/** A stream over `bytes`, which are not copied. */
export function sliced(bytes: Buffer): Readable {
  let at = 0;
  return new Readable({
    highWaterMark: SLICE_BYTES,
    read() {
      const start = at;
      at += SLICE_BYTES;
      this.push(start < bytes.length ? bytes.subarray(start, at) : null);
    },
  });
}
