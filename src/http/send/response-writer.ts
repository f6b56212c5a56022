/**
 * Copies the bytes of one response from a source to a socket.
 *
 *     file    read A      read B      read A'     …
 *     socket         write A     write B     …          the next read runs during the current write
 *
 * Reading ahead helps only with one or two fast clients. With more, the reads of one overlap the writes of another anyway, and a block that
 * is read just before it is written is still in the cache of the processor.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import { LadingError } from '../../errors.ts';
import type { Block, BlockPool, Wait } from './block-pool.ts';
import type { Pace } from './pace.ts';
import type { Source } from './sources.ts';

export type Response = ServerResponse | Http2ServerResponse;

/** `left`: the client disconnected. `idle`: it accepted no bytes for too long. `failed`: bytes were missing, so the response was cut off. */
export type Outcome = { kind: 'sent' | 'left' | 'idle' } | { kind: 'failed'; error: unknown };

/** A block and the number of its bytes that are used. */
interface Filled {
  block: Block;
  length: number;
}

/** State that the writers of a connection or of the server share. */
export interface Shared {
  pool: BlockPool;
  /** Pace of the connection. */
  pace: Pace;
  fewAreActive(): boolean;
  /** Called when the writer has released everything. */
  onEnd(): void;
}

/** The writer of one response. Call `prepare`, then `send`. */
export class ResponseWriter {
  readonly #response: Response;
  readonly #source: Source;
  readonly #pace: Pace;
  readonly #pool: BlockPool;
  readonly #shared: Shared;
  readonly #onClose = (): void => this.close();
  #first: Filled | null = null;
  #wait: Wait | null = null;
  /** Ends the current write; true if it was accepted completely. */
  #settle: ((accepted: boolean) => void) | null = null;
  #writtenAt = 0;
  #writing = 0;
  #limited = false;
  #closed: boolean;
  #cutAs: 'idle' | null = null;

  constructor(response: Response, source: Source, shared: Shared) {
    this.#response = response;
    this.#source = source;
    this.#shared = shared;
    this.#pace = shared.pace;
    this.#pool = shared.pool;
    if ('stream' in response) {
      this.#closed = response.stream.destroyed || response.stream.closed;
      const { stream } = response;
      // Node keeps a stream that the client reset without an error, including its unsent bytes.
      stream.once('aborted', () => {
        if (stream.rstCode === constants.NGHTTP2_NO_ERROR) stream.destroy();
      });
      stream.on('close', this.#onClose);
    } else {
      // The connection reports the end: a response that waits for an earlier one gets no event.
      this.#closed = response.req.socket.destroyed;
    }
  }

  /** Duration of the current write in milliseconds; 0 without a write. */
  get heldMs(): number {
    return this.#writing === 0 ? 0 : performance.now() - this.#writtenAt;
  }

  /** Bytes of the current write. */
  get heldBytes(): number {
    return this.#writing;
  }

  /**
   * Reads the first block.
   * @throws LadingError `overloaded` if there is no memory within `maxWaitMs`
   */
  async prepare(maxWaitMs: number): Promise<void> {
    // If no bytes have arrived yet, `send` sends the head first.
    if (this.#source.ready() !== null) return;
    const timer = setTimeout(() => this.#wait?.leave(), maxWaitMs);
    try {
      this.#first = await this.#next();
      if (this.#first === null && this.#source.remaining !== 0 && !this.#closed) throw overloaded();
    } catch (error) {
      this.#end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends the head and the body. Never rejects. When it resolves, the writer has released its memory and reads no more. */
  async send(status: number, headers: OutgoingHttpHeaders): Promise<Outcome> {
    try {
      if (!this.#closed) {
        this.#response.writeHead(status, headers);
        await this.#run();
      }
      if (this.#closed) return { kind: this.#cutAs ?? 'left' };
      return { kind: 'sent' };
    } catch (error) {
      if (this.#closed) return { kind: this.#cutAs ?? 'left' };
      this.#destroy();
      return { kind: 'failed', error };
    } finally {
      this.#end();
    }
  }

  /** Ends all waiting, because the connection is closed. */
  close(): void {
    this.#closed = true;
    this.#source.cancel();
    this.#wait?.leave();
    this.#settle?.(false);
  }

  /** Closes the connection or the stream, so that the client sees a truncated response. */
  cut(as: 'idle'): void {
    this.#cutAs = as;
    this.#destroy();
  }

  /** Cuts off a client that accepts no bytes for `ms` from now on. For node, bytes that the system accepts are progress. */
  limitIdle(ms: number): void {
    if (this.#limited) return;
    this.#limited = true;
    this.#response.setTimeout(ms, () => {
      if (this.#writing > 0) this.cut('idle');
    });
  }

  async #run(): Promise<void> {
    // HTTP/2 sends the head at once.
    if (this.#first === null && this.#source.remaining !== 0 && !('stream' in this.#response))
      this.#response.flushHeaders();
    let filled = this.#first ?? (await this.#next());
    this.#first = null;
    while (filled !== null) {
      const last = this.#source.remaining === 0;
      const writing = this.#write(filled, last);
      const ahead = last ? null : this.#readAhead();
      if (!(await writing)) {
        this.#give(await ahead?.catch(() => null));
        return;
      }
      if (last) return;
      filled = await (ahead ?? this.#next());
    }
    if (!this.#closed) await this.#finish();
  }

  /** The next block to send; null at the end, or if the client has disconnected. */
  async #next(): Promise<Filled | null> {
    if (this.#source.remaining === 0) return null;
    await this.#source.ready();
    if (this.#closed) return null;
    const block = this.#pool.take(this.#wanted, this.#pace.proven) ?? (await this.#queue());
    if (block === null) return null;
    return this.#fill(block);
  }

  /** Like `#next`, but returns null at once if reading ahead would not help, or if memory or bytes are not available. */
  #readAhead(): Promise<Filled | null> | null {
    if (!this.#shared.fewAreActive() || !this.#pace.quick || this.#source.ready() !== null) return null;
    const block = this.#pool.take(this.#wanted, this.#pace.proven);
    if (block === null) return null;
    const ahead = this.#fill(block);
    // The caller sees a failure when it awaits the block.
    ahead.catch(() => undefined);
    return ahead;
  }

  get #wanted(): number {
    return Math.min(this.#source.remaining ?? Number.POSITIVE_INFINITY, this.#pace.block);
  }

  async #queue(): Promise<Block | null> {
    this.#wait = this.#pool.wait(this.#wanted, this.#pace.proven);
    const block = await this.#wait.block;
    this.#wait = null;
    return block;
  }

  async #fill(block: Block): Promise<Filled | null> {
    try {
      const length = await this.#source.fill(block.bytes);
      if (length > 0) return { block, length };
    } catch (error) {
      this.#pool.give(block);
      throw error;
    }
    this.#pool.give(block);
    return null;
  }

  /** Writes a block and returns it to the pool. False if the client left first. */
  #write({ block, length }: Filled, last: boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const response = this.#response;
      let held = true;
      const give = (): void => {
        if (held) this.#pool.give(block);
        held = false;
      };
      this.#writtenAt = performance.now();
      this.#writing = length;
      this.#settle = (accepted) => {
        this.#settle = null;
        this.#writing = 0;
        if (accepted) this.#pace.accepted(length, performance.now() - this.#writtenAt);
        // The session of a closed HTTP/2 stream may still send from the block. Its callback returns the block.
        if (accepted || !('stream' in response)) give();
        resolve(accepted);
      };
      const bytes = length === block.bytes.length ? block.bytes : block.bytes.subarray(0, length);
      const done = (error?: Error | null): void => {
        if (error) this.#closed = true;
        this.#settle?.(!error);
        give();
      };
      if (this.#closed) {
        give();
        return this.#settle(false);
      }
      if ('stream' in response) {
        // Node does not call the callback of `end` if the stream closes first, but always calls that of `write`.
        response.write(bytes, done);
        if (last) response.end();
      } else if (last) response.end(bytes, done);
      else response.write(bytes, done);
    });
  }

  /** Ends the response if the last block was not known to be the last one. */
  #finish(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#settle = (accepted) => {
        this.#settle = null;
        resolve(accepted);
      };
      const response = this.#response;
      const done = (): void => this.#settle?.(true);
      if ('stream' in response) response.end(done);
      else response.end(done);
    });
  }

  /** Closes the connection or the stream. */
  #destroy(): void {
    const response = this.#response;
    if (!('stream' in response)) response.req.socket.destroy();
    else if (response.stream.closed) response.stream.destroy();
    else response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #give(filled: Filled | null | undefined): void {
    if (filled) this.#pool.give(filled.block);
  }

  #end(): void {
    this.#give(this.#first);
    this.#first = null;
    if ('stream' in this.#response) this.#response.stream.off('close', this.#onClose);
    this.#shared.onEnd();
  }
}

function overloaded(): LadingError {
  return new LadingError('overloaded', 'Too many downloads are running. Try again in a moment.', { retry_after: 5 });
}
