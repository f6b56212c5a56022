/** Reads a file, or a range of it, as one ordered stream that resumes after interruptions. */

import type { FileCalls } from '../calls/files.ts';
import { isTransient } from '../transport/failures.ts';
import { follow } from './follow.ts';
import { Meter } from './meter.ts';
import { Backoff } from './retry.ts';
import type { StreamOptions } from './stream-options.ts';
import { checksumMismatch, currentVersion, idOf, readPart, resolveRange } from './versions.ts';

export type { StreamOptions, StreamProgress } from './stream-options.ts';

/**
 * Yields the bytes. Throws `precondition_failed` when the file was replaced meanwhile. For a whole file, throws `VerificationError` after
 * the last byte when the CRC-32 does not match.
 */
export async function* stream(client: FileCalls, name: string, options: StreamOptions): AsyncGenerator<Uint8Array> {
  if (options.follow) {
    if (options.range) throw new TypeError('follow starts at the first byte and cannot be combined with a range');
    yield* follow(client, name, options);
    return;
  }
  const { range, onProgress } = options;
  const backoff = new Backoff(options, options.signal, options.onRetry);
  const version = await backoff.retry(async () =>
    range ? resolveRange(client, name, range, options) : currentVersion(client, name, options),
  );
  const { size } = version;
  const { id, extent } = version.part ?? { id: idOf(version.etag ?? ''), extent: { start: 0, end: size - 1 } };
  const meter = new Meter(size);
  let at = extent.start;
  let crc = 0;
  while (at <= extent.end) {
    try {
      for await (const bytes of readPart(client, name, { id, extent: { start: at, end: extent.end } }, options)) {
        at += bytes.length;
        crc = client.crc32(bytes, crc);
        backoff.progress();
        meter.confirmed(at - extent.start);
        onProgress?.(meter.progress());
        yield bytes;
      }
    } catch (error) {
      if (!isTransient(error)) throw error;
      await backoff.wait(error);
    }
  }
  if (version.crc32 !== null && version.crc32 !== crc) {
    throw checksumMismatch();
  }
}
