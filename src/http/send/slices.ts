/** Sends large answers in slices, so that the stream queues only one slice for a client that does not read. */
import { Readable } from 'node:stream';

/** Size of a slice. */
export const SLICE_BYTES = 16 * 1024;

/** A stream of `bytes`, which are not copied. */
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
