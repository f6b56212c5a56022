/** A file, or a range of it, as one stream of bytes in order, which goes on where it broke off. */
import { LadingError } from '../errors.ts';
import type { LadingClient, RangeRequest } from './client.ts';
import { describe } from './download.ts';
import { isTransient, NetworkError, VerificationError } from './failures.ts';
import { Patience, type RetryNotice, type RetryOptions } from './patience.ts';

export interface StreamOptions extends RetryOptions {
  range?: RangeRequest | undefined;
  owner?: string | undefined;
  signal?: AbortSignal | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
}

/** Where a stream stands: what is still to come, and of which version of the file. */
interface Position {
  range: RangeRequest | undefined;
  /** Offset after the last byte to come, null until the first answer. */
  stop: number | null;
  etag: string | undefined;
}

/**
 * Yields the bytes. Throws `precondition_failed` when the file was replaced half way, and, for a whole file, `VerificationError` after
 * the last byte when the CRC-32 disagrees.
 */
export async function* stream(client: LadingClient, name: string, options: StreamOptions): AsyncGenerator<Uint8Array> {
  const patience = new Patience(options, options.signal, options.onRetry);
  const version = options.range ? null : await patience.persist(async () => describe(client, name, options));
  if (version?.size === 0) return;
  const position: Position = { range: options.range ?? { start: 0 }, stop: null, etag: version?.etag };
  let crc = 0;
  for (;;) {
    try {
      for await (const bytes of attempt(client, name, options, position)) {
        patience.progress();
        if (version !== null) crc = client.crc32(bytes, crc);
        yield bytes;
      }
      break;
    } catch (error) {
      if (!isTransient(error)) throw error;
      await patience.wait(error);
    }
  }
  if (version !== null && version.crc32 !== null && version.crc32 !== crc) {
    throw new VerificationError('What arrived does not have the checksum of the file. Download it again.');
  }
}

async function* attempt(
  client: LadingClient,
  name: string,
  { owner, signal }: StreamOptions,
  position: Position,
): AsyncGenerator<Uint8Array> {
  const { range, stop } = position;
  if (range !== undefined && 'start' in range && stop !== null && range.start >= stop) return;
  const ifMatch = position.etag?.startsWith('"') ? position.etag : undefined;
  const download = await client.download(name, { range, ifMatch, owner, signal });
  try {
    if (download.extent === null) throw new VerificationError('The server does not send the range that was asked for.');
    if (position.etag !== undefined && download.etag !== position.etag) {
      throw new LadingError('precondition_failed', 'The file was replaced on the server while it was being read.');
    }
    position.etag = download.etag ?? undefined;
    position.stop ??= download.extent.end + 1;
    let at = download.extent.start;
    for await (const bytes of download.body) {
      at += bytes.length;
      position.range = { start: at, end: position.stop - 1 };
      yield bytes;
    }
    if (at < position.stop) throw new NetworkError('The answer ended before its time.');
  } finally {
    download.discard();
  }
}
