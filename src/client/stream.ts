/** A file, or a range of it, as one stream of bytes in order, which goes on where it broke off. */
import type { LadingClient, RangeRequest } from './client.ts';
import { isTransient, VerificationError } from './failures.ts';
import { follow } from './follow.ts';
import { Meter, type Progress } from './meter.ts';
import { Patience, type RetryNotice, type RetryOptions } from './patience.ts';
import { describe, idOf, locate, readPart } from './versions.ts';

/** As for other transfers, but the size of what arrives may not be known. */
export interface StreamProgress extends Omit<Progress, 'total'> {
  total: number | null;
}

export interface StreamOptions extends RetryOptions {
  range?: RangeRequest | undefined;
  /** Start with the first byte and wait for what is still arriving; not together with `range`. */
  follow?: boolean | undefined;
  owner?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: StreamProgress) => void) | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
}

/**
 * Yields the bytes. Throws `precondition_failed` when the file was replaced half way, and, for a whole file, `VerificationError` after
 * the last byte when the CRC-32 disagrees.
 */
export async function* stream(client: LadingClient, name: string, options: StreamOptions): AsyncGenerator<Uint8Array> {
  if (options.follow) {
    if (options.range) throw new TypeError('follow starts with the first byte and does not go with a range');
    yield* follow(client, name, options);
    return;
  }
  const { range, onProgress } = options;
  const patience = new Patience(options, options.signal, options.onRetry);
  const version = await patience.persist(async () =>
    range ? locate(client, name, range, options) : describe(client, name, options),
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
        patience.progress();
        meter.confirmed(at - extent.start);
        onProgress?.(meter.progress());
        yield bytes;
      }
    } catch (error) {
      if (!isTransient(error)) throw error;
      await patience.wait(error);
    }
  }
  if (version.crc32 !== null && version.crc32 !== crc) {
    throw new VerificationError('What arrived does not have the checksum of the file. Download it again.');
  }
}
