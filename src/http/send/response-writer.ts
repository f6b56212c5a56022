/**
 * One response's bytes on their way from a source to a socket.
 *
 *     file    read A      read B      read A'     …
 *     socket         write A     write B     …          the next read runs while the write before it is under way
 *
 * Reading ahead is for one or two fast clients. Of more, one's reads run beside another's writes anyway, and a block that is read
 * just before it is written is still in the processor's cache.
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import { LadingError } from '../../errors.ts';
import type { Block, BlockPool, Wait } from './block-pool.ts';
import type { Pace } from './pace.ts';
import type { Source } from './sources.ts';

export type Response = ServerResponse | Http2ServerResponse;

/** `left`: the client went away. `idle`: it took nothing for too long. `failed`: bytes were missing, so it was cut. */
export type Outcome = { kind: 'sent' | 'left' | 'idle' } | { kind: 'failed'; error: unknown };

/** A block with bytes in it. */
interface Filled {
  block: Block;
  length: number;
}

/** What transfers share. */
export interface Shared {
  pool: BlockPool;
  /** High-water mark of the connection. */
  pace: Pace;
  fewAreActive(): boolean;
  /** The transfer holds nothing any more. */
  onEnd(): void;
}

export class ResponseWriter {
  readonly #response: Response;
  readonly #source: Source;
  readonly #pace: Pace;
  readonly #pool: BlockPool;
  readonly #shared: Shared;
  readonly #onClose = (): void => this.close();
  #first: Filled | null = null;
  #wait: Wait | null = null;
  /** Ends the write under way; true when the client's side took it all. */
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
      // Node keeps a stream that the client reset without an error, and with it what was still to be sent.
      stream.once('aborted', () => {
        if (stream.rstCode === constants.NGHTTP2_NO_ERROR) stream.destroy();
      });
      stream.on('close', this.#onClose);
    } else {
      // Its end is told by the connection: a response that waits behind another one hears nothing itself.
      this.#closed = response.req.socket.destroyed;
    }
  }

  /** How long the write under way has taken, in milliseconds; 0 if no write is under way. */
  get heldMs(): number {
    return this.#writing === 0 ? 0 : performance.now() - this.#writtenAt;
  }

  /** Bytes of the write under way. */
  get heldBytes(): number {
    return this.#writing;
  }

  /** Reads the first block. Throws `overloaded` when there is no memory for so long. */
  async prepare(patienceMs: number): Promise<void> {
    // Nothing there yet and more to come: the head goes out first.
    if (this.#source.ready() !== null) return;
    const timer = setTimeout(() => this.#wait?.leave(), patienceMs);
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

  /** Sends the head and everything after it. Never rejects; when it resolves, nothing is held or read any more. */
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

  /** The connection is closed: whatever is waited for ends. */
  close(): void {
    this.#closed = true;
    this.#source.cancel();
    this.#wait?.leave();
    this.#settle?.(false);
  }

  cut(as: 'idle'): void {
    this.#cutAs = as;
    this.#destroy();
  }

  /** From now on a client that accepts nothing for so long is cut. Node counts what the system takes of a write as progress. */
  limitIdle(ms: number): void {
    if (this.#limited) return;
    this.#limited = true;
    this.#response.setTimeout(ms, () => {
      if (this.#writing > 0) this.cut('idle');
    });
  }

  async #run(): Promise<void> {
    // HTTP/2 sends the head at once anyway.
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

  /** The next block with what is to be sent; null at the end, and when the client is gone. */
  async #next(): Promise<Filled | null> {
    if (this.#source.remaining === 0) return null;
    await this.#source.ready();
    if (this.#closed) return null;
    const block = this.#pool.take(this.#wanted, this.#pace.proven) ?? (await this.#queue());
    if (block === null) return null;
    return this.#fill(block);
  }

  /** As `next` when it is worth it and there is memory and something to be read; else null at once. */
  #readAhead(): Promise<Filled | null> | null {
    if (!this.#shared.fewAreActive() || !this.#pace.quick || this.#source.ready() !== null) return null;
    const block = this.#pool.take(this.#wanted, this.#pace.proven);
    if (block === null) return null;
    const ahead = this.#fill(block);
    // What fails is told when it is its turn.
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

  /** False when the client went away first. The block is given back. */
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
        // The session of a closed HTTP/2 stream may still be sending from the block; its callback tells.
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
        // The callback of `end` is not called for a stream that is closed first; that of `write` always is.
        response.write(bytes, done);
        if (last) response.end();
      } else if (last) response.end(bytes, done);
      else response.write(bytes, done);
    });
  }

  /** The end of a body whose last block was not known to be the last. */
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

  /** Closes the connection, or the stream of one, so that the client sees that something is missing. */
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
  return new LadingError('overloaded', 'Too many downloads are under way; try again in a moment.', { retry_after: 5 });
}
