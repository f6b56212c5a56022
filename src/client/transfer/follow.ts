/**
 * A file from its first byte on, while it is still arriving. The server sends it as it comes; when that connection breaks, the rest is
 * fetched by ranges as they become available (the status stream tells), so that no byte is lost or comes twice.
 */
import { LadingError } from '../../errors.ts';
import { parseHex32 } from '../../protocol/crc32.ts';
import type { FileCalls } from '../calls/files.ts';
import { NetworkError, VerificationError } from '../transport/failures.ts';
import { Meter } from './meter.ts';
import { Backoff, sleep } from './retry.ts';
import type { StreamOptions } from './stream-options.ts';
import { fileReplaced, idOf, readPart } from './versions.ts';

/** A file whose size was never declared and of which nothing came for so long is at its end, as it is for the server. */
const SILENCE_MS = 60_000;
/** Between questions whether such a file was sealed. */
const POLL_MS = 1000;
/** The longest that a timer can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export async function* follow(client: FileCalls, name: string, options: StreamOptions): AsyncGenerator<Uint8Array> {
  const patience = new Backoff(options, options.signal, options.onRetry);
  const follower = new Follower(client, name, options);
  for (;;) {
    try {
      for await (const bytes of follower.advance()) {
        patience.progress();
        yield bytes;
      }
      if (await follower.isComplete()) return;
    } catch (error) {
      await patience.wait(error);
    }
  }
}

class Follower {
  readonly #client: FileCalls;
  readonly #name: string;
  readonly #options: StreamOptions;
  readonly #meter = new Meter(0);
  /** Of the file that is followed; null until the first answer. */
  #id: string | null = null;
  /** Of the whole file, null while nobody knows. */
  #size: number | null = null;
  #at = 0;
  #crc = 0;
  #lastByteAt = performance.now();

  constructor(client: FileCalls, name: string, options: StreamOptions) {
    this.#client = client;
    this.#name = name;
    this.#options = options;
  }

  /** Yields what one more request brings, or waits until there is something to ask for. */
  async *advance(): AsyncGenerator<Uint8Array> {
    for await (const bytes of this.#id === null ? this.#begin() : this.#goOn(this.#id)) {
      this.#at += bytes.length;
      this.#crc = this.#client.crc32(bytes, this.#crc);
      this.#lastByteAt = performance.now();
      this.#report();
      yield bytes;
    }
  }

  /** True when there is nothing more to come. Throws `VerificationError` when the whole has another CRC-32 than the server's. */
  async isComplete(): Promise<boolean> {
    if (this.#id === null) return false;
    if (this.#size !== null) {
      if (this.#at < this.#size) return false;
    } else if (!(await this.#isAtTheEnd(this.#id))) {
      return false;
    }
    const { id, total_bytes: total, crc32 } = await this.#client.status(this.#name, this.#options);
    if (id === this.#id && total === this.#at && crc32 !== null && parseHex32(crc32) !== this.#crc) {
      throw new VerificationError('What arrived does not have the checksum of the file. Download it again.');
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
        // Of a file without ETag only the status knows which one it is: the one that was there before and still is.
        const { id } = await this.#client.status(this.#name, { owner, signal });
        if (id === null || id !== before.id) throw new NetworkError('The file was replaced on the server just now.');
        this.#id = id;
      }
      this.#size = download.size;
      yield* download.body;
    } finally {
      download.discard();
    }
  }

  async *#goOn(id: string): AsyncGenerator<Uint8Array> {
    const known = await this.#client.status(this.#name, this.#options);
    let stop = known.next_expected_byte;
    if (known.id !== id) {
      if (known.id === null) {
        throw new LadingError('not_found', 'The file was removed on the server while it was being followed.');
      }
      // A replacement is on its way, which the status describes; ours may be there until that is complete.
      const { etag, size } = known.readable
        ? await orChanged(this.#client.head(this.#name, this.#options))
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
        throw asChanged(error);
      }
    } else if (known.id === id && known.status === 'partial') {
      await this.#waitForMore(id);
    }
  }

  /** Until the next byte is there, or something else happened that the status tells. */
  async #waitForMore(id: string): Promise<void> {
    const { owner, signal, retryForMs = 3_600_000 } = this.#options;
    const left = retryForMs - (performance.now() - this.#lastByteAt);
    const enough = AbortSignal.timeout(Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(left))));
    const either = signal ? AbortSignal.any([signal, enough]) : enough;
    try {
      for await (const known of this.#client.watch(this.#name, { owner, signal: either })) {
        if (known.id !== id || known.status !== 'partial' || known.next_expected_byte > this.#at) return;
      }
    } catch (error) {
      if (enough.aborted && !signal?.aborted) throw new NetworkError('Nothing more of the file came for too long.');
      throw error;
    }
  }

  /** Of an undeclared size: is the file sealed, or did nothing come for long? */
  async #isAtTheEnd(id: string): Promise<boolean> {
    const { owner, signal } = this.#options;
    const known = await this.#client.status(this.#name, { owner, signal });
    if (known.id !== id || known.status !== 'complete' || known.next_expected_byte > this.#at) return false;
    // While more may be added, an answer to follow has no ETag.
    const { etag, size } = await orChanged(this.#client.head(this.#name, { owner, signal, follow: true }));
    if (etag !== null && size !== null && idOf(etag) === id) {
      // Bytes that a server lost with its power are to be sent again; sealed without them it is another file.
      if (size < this.#at) throw fileReplaced();
      return size === this.#at;
    }
    const here = known.next_expected_byte === this.#at;
    if (here && performance.now() - this.#lastByteAt >= SILENCE_MS) return true;
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
 * What the status told just now was not there any more when it was asked for. Whether it was removed or replaced only the next
 * status can tell, so this one is worth another try.
 */
function asChanged(error: unknown): unknown {
  if (!(error instanceof LadingError) || error.status !== 404) return error;
  return new NetworkError('The file changed on the server just now.', { cause: error });
}

function orChanged<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    throw asChanged(error);
  });
}
