/**
 * A request body while it is received. It is opened before the first byte is read and closed once, when the request ends:
 *
 *     source → body buffer → writer → segments
 *                  ↑
 *     stall watch: ends a silent or slow client, and one whose token was revoked
 *
 * The stall watch measures the client only while the server waits for its bytes. While the server is busy with something else (it
 * looks up the file, waits for a free buffer, commits) the client cannot send, and its silence does not count.
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
  /** False once the sender has lost its right. The body then fails with `unauthorized`. Absent: the right does not change. */
  isAuthorized?: (() => boolean) | undefined;
  /** A body that breaks or stalls ends there, and the bytes before it count. Otherwise the body fails. */
  keepsPartial?: boolean;
  /** The server reads from the start. Otherwise it first has other work to do, and reads from `receive` on. */
  readsAtOnce?: boolean;
}

export class RequestBody {
  readonly buffer: BodyBuffer;
  /** The extent that this request receives; a waiting request for the same bytes shortens the allowed silence. */
  reserved: ReservedExtent | null = null;
  readonly #buffers: BufferPool;
  readonly #watch: Watch;
  #writer: BodyWriter | null = null;
  #isReading: boolean;
  /** Operations of the server that the client has to wait for. */
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

  /** Waits for work of the server. The silence of the client does not count meanwhile. */
  async hold<T>(work: Promise<T>): Promise<T> {
    this.#holds += 1;
    try {
      return await work;
    } finally {
      this.#holds -= 1;
    }
  }

  /** Waits for the client: its silence counts until `work` ends. */
  async read<T>(work: () => Promise<T>): Promise<T> {
    this.#isReading = true;
    try {
      return await work();
    } finally {
      this.#isReading = false;
    }
  }

  /** Has `writer` receive its extent. */
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
