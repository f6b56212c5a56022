/**
 * Reads a file from its first byte while it is still arriving. The server streams bytes as they arrive. If that connection breaks, the rest
 * is fetched by ranges when the status stream reports them, so that no byte is lost or repeated.
 */
import { LadingError } from '../../errors.ts';
import { parseHex32 } from '../../protocol/crc32.ts';
import type { FileCalls } from '../calls/files.ts';
import { NetworkError } from '../transport/failures.ts';
import { Meter } from './meter.ts';
import { Backoff, sleep } from './retry.ts';
import type { StreamOptions } from './stream-options.ts';
import { checksumMismatch, fileReplaced, idOf, readPart } from './versions.ts';

/** A file of undeclared size ends after this time without a new byte, as on the server. */
const SILENCE_MS = 60_000;
/** Interval between checks whether such a file was sealed. */
const POLL_MS = 1000;
/** The maximum delay of a timer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Yields the bytes of a file from the first one. Throws `precondition_failed` or `not_found` when the file is replaced or deleted. */
export async function* follow(client: FileCalls, name: string, options: StreamOptions): AsyncGenerator<Uint8Array> {
  const backoff = new Backoff(options, options.signal, options.onRetry);
  const follower = new Follower(client, name, options);
  for (;;) {
    try {
      for await (const bytes of follower.advance()) {
        backoff.progress();
        yield bytes;
      }
      if (await follower.isComplete()) return;
    } catch (error) {
      await backoff.wait(error);
    }
  }
}

class Follower {
  readonly #client: FileCalls;
  readonly #name: string;
  readonly #options: StreamOptions;
  readonly #meter = new Meter(0);
  /** Id of the followed file; null before the first reply. */
  #id: string | null = null;
  /** Size of the whole file; null while it is unknown. */
  #size: number | null = null;
  #at = 0;
  #crc = 0;
  #lastByteAt = performance.now();

  constructor(client: FileCalls, name: string, options: StreamOptions) {
    this.#client = client;
    this.#name = name;
    this.#options = options;
  }

  /** Yields the bytes of one more request, or waits until more bytes are available. */
  async *advance(): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#id === null ? this.#begin() : this.#continue(this.#id)) {
      this.#at += bytes.length;
      this.#crc = this.#client.crc32(bytes, this.#crc);
      this.#lastByteAt = performance.now();
      this.#report();
      yield bytes;
    }
  }

  /** True when all bytes were received. Throws `VerificationError` if their CRC-32 differs from the server's. */
  async isComplete(): Promise<boolean> {
    if (this.#id === null) return false;
    if (this.#size !== null) {
      if (this.#at < this.#size) return false;
    } else if (!(await this.#isAtEnd(this.#id))) {
      return false;
    }
    const { id, total_bytes: total, crc32 } = await this.#client.status(this.#name, this.#options);
    if (id === this.#id && total === this.#at && crc32 !== null && parseHex32(crc32) !== this.#crc) {
      throw checksumMismatch();
    }
    return true;
  }

  async *#begin(): AsyncGenerator<Uint8Array> {
    const { owner, signal } = this.#options;
    const before = await this.#client.status(this.#name, { owner, signal });
    const download = await this.#client.download(this.#name, { follow: true, owner, signal });
    try {
      if (download.etag !== null) {
        this.#id = idOf(download.etag);
      } else {
        // Without an ETag, the file is identified by the status: its id must be the same before and after the reply.
        const { id } = await this.#client.status(this.#name, { owner, signal });
        if (id === null || id !== before.id) throw new NetworkError('The file was replaced on the server.');
        this.#id = id;
      }
      this.#size = download.size;
      yield* download.body;
    } finally {
      download.discard();
    }
  }

  async *#continue(id: string): AsyncGenerator<Uint8Array> {
    const known = await this.#client.status(this.#name, this.#options);
    let stop = known.next_expected_byte;
    if (known.id !== id) {
      if (known.id === null) {
        throw new LadingError('not_found', 'The file was removed on the server while it was being followed.');
      }
      // The status describes a replacement. The followed file is readable until that is complete.
      const { etag, size } = known.readable
        ? await mapToChanged(this.#client.head(this.#name, this.#options))
        : { etag: null, size: 0 };
      if (etag === null || size === null || idOf(etag) !== id) throw fileReplaced();
      this.#size = size;
      stop = size;
    }
    if (stop > this.#at) {
      const part = { id, extent: { start: this.#at, end: stop - 1 } };
      try {
        yield* readPart(this.#client, this.#name, part, this.#options);
      } catch (error) {
        throw changedError(error);
      }
    } else if (known.id === id && known.status === 'partial') {
      await this.#waitForMore(id);
    }
  }

  /** Waits until the next byte is available or the status changes otherwise. */
  async #waitForMore(id: string): Promise<void> {
    const { owner, signal, retryForMs = 3_600_000 } = this.#options;
    const left = retryForMs - (performance.now() - this.#lastByteAt);
    const timeout = AbortSignal.timeout(Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(left))));
    const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
    try {
      for await (const known of this.#client.watch(this.#name, { owner, signal: either })) {
        if (known.id !== id || known.status !== 'partial' || known.next_expected_byte > this.#at) return;
      }
    } catch (error) {
      if (timeout.aborted && !signal?.aborted) throw new NetworkError('No more bytes of the file arrived in time.');
      throw error;
    }
  }

  /** True when a file of undeclared size was sealed, or no byte arrived for `SILENCE_MS`. */
  async #isAtEnd(id: string): Promise<boolean> {
    const { owner, signal } = this.#options;
    const known = await this.#client.status(this.#name, { owner, signal });
    if (known.id !== id || known.status !== 'complete' || known.next_expected_byte > this.#at) return false;
    // While bytes may still be appended, the reply has no ETag.
    const { etag, size } = await mapToChanged(this.#client.head(this.#name, { owner, signal, follow: true }));
    if (etag !== null && size !== null && idOf(etag) === id) {
      // A server that lost power may have lost bytes. A file sealed without them is a different one.
      if (size < this.#at) throw fileReplaced();
      return size === this.#at;
    }
    const receivedAll = known.next_expected_byte === this.#at;
    if (receivedAll && performance.now() - this.#lastByteAt >= SILENCE_MS) return true;
    await sleep(POLL_MS, signal);
    return false;
  }

  #report(): void {
    this.#meter.confirmed(this.#at);
    const { rate, ...progress } = this.#meter.progress();
    const left = this.#size !== null && rate > 0 ? (this.#size - this.#at) / rate : null;
    this.#options.onProgress?.({ ...progress, rate, total: this.#size, left });
  }
}

/**
 * Makes `not_found` retryable: the file changed after the last status, and only the next status shows whether it was removed or
 * replaced.
 */
function changedError(error: unknown): unknown {
  if (!(error instanceof LadingError) || error.status !== 404) return error;
  return new NetworkError('The file changed on the server.', { cause: error });
}

function mapToChanged<T>(reply: Promise<T>): Promise<T> {
  return reply.catch((error: unknown) => {
    throw changedError(error);
  });
}
