/**
 * A request body while it is received. It is opened before the first byte is read and closed once, when the request ends:
 *
 *     source → body buffer → writer → segments
 *                  ↑
 *     stall watch: ends a silent or slow client, and one whose token was revoked
 *
 * The stall watch measures the client only while the server waits for bytes. While the server is busy with something else (looking up
 * the file, waiting for a buffer, committing), the client cannot send, and its silence is not measured.
 */
import type { Readable } from 'node:stream';
import { revoked } from '../files/refusals.ts';
import type { ReservedExtent } from '../files/reservations.ts';
import { BodyBuffer } from './body-buffer.ts';
import type { BodyWriter, Received } from './body-writer.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { StallWatch, Watch } from './stall-watch.ts';

export interface RequestBodyDeps {
  buffers: BufferPool;
  stallWatch: StallWatch;
}

export interface RequestBodyOptions {
  /** False once the sender's authorization was revoked; the body then fails with `unauthorized`. Absent: it cannot be revoked. */
  isAuthorized?: (() => boolean) | undefined;
  /** Truncates a body that breaks or stalls, and keeps its bytes. By default such a body fails. */
  keepsPartial?: boolean;
  /** The server reads from the start. By default it first has other work to do, and reads once `receive` is called. */
  readsAtOnce?: boolean;
}

export class RequestBody {
  readonly buffer: BodyBuffer;
  /** The extent that this request receives. While another request waits for the same bytes, less silence is allowed. */
  reserved: ReservedExtent | null = null;
  readonly #buffers: BufferPool;
  readonly #watch: Watch;
  #writer: BodyWriter | null = null;
  #isReading: boolean;
  /** Number of server operations that the client waits for. */
  #holds = 0;

  /** Starts to listen to `source`. The caller must call `close`. */
  constructor({ buffers, stallWatch }: RequestBodyDeps, source: Readable, options: RequestBodyOptions = {}) {
    const { isAuthorized, keepsPartial = false, readsAtOnce = false } = options;
    this.#buffers = buffers;
    this.#isReading = readsAtOnce;
    buffers.addReceiver();
    const buffer = new BodyBuffer(
      source,
      () => buffers.holdLimit(),
      (bytes) => this.#watch.received(bytes),
      keepsPartial,
    );
    this.buffer = buffer;
    this.#watch = stallWatch.watch({
      isHeld: () => !this.#isReading || this.#holds > 0 || buffer.isPaused || (this.#writer?.isWaiting ?? false),
      isWanted: () => this.reserved?.isWanted ?? false,
      onCheck: () => {
        buffer.adjust();
        if (isAuthorized?.() === false) buffer.fail(revoked());
      },
      fail: (error) => (keepsPartial ? buffer.truncate(error) : buffer.fail(error)),
    });
  }

  /** Awaits work of the server, during which the client's silence is not measured. */
  async hold<T>(work: Promise<T>): Promise<T> {
    this.#holds += 1;
    try {
      return await work;
    } finally {
      this.#holds -= 1;
    }
  }

  /** Awaits bytes of the client, whose silence is measured until `work` settles. */
  async read<T>(work: () => Promise<T>): Promise<T> {
    this.#isReading = true;
    try {
      return await work();
    } finally {
      this.#isReading = false;
    }
  }

  /** Receives the extent of `writer`. */
  async receive(writer: BodyWriter): Promise<Received> {
    this.#writer = writer;
    return await this.read(() => writer.receive());
  }

  /** Stops listening; unread bytes stay in the source. */
  close(): void {
    this.#watch.stop();
    this.buffer.detach();
    this.#buffers.removeReceiver();
  }
}
