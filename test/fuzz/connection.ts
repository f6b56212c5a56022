/** One connection of the fuzzer: writes messages and reads the replies. */
import { connect, type Socket } from 'node:net';
import type { Random } from '../support/random.ts';
import type { Message } from './message.ts';

export interface Reply {
  status: number;
  fields: Map<string, string>;
  /** Null if it is longer than `KEPT_BYTES` or incomplete. */
  body: string | null;
}

export type Outcome = { replies: Reply[]; end: 'answered' | 'closed' | 'silent' };

/** Time after which the client ends its side, because the server may be waiting for the rest of a malformed message. */
const HALF_CLOSE_MS = 40;
/** Time after which a server that neither answers nor closes the connection counts as hanging. */
const SILENCE_MS = 20_000;
/** Time after which an endless reply, such as an event stream, is abandoned. */
const STREAM_MS = 30;
const KEPT_BYTES = 256 * 1024;

export class Connection {
  readonly #port: number;
  #socket: Socket | null = null;
  #received = Buffer.alloc(0);
  #closed = false;
  #wake: () => void = () => {};

  constructor(port: number) {
    this.#port = port;
  }

  async exchange(message: Message, random: Random): Promise<Outcome> {
    const socket = await this.#open();
    await this.#write(socket, message.bytes, random);
    const replies: Reply[] = [];
    const since = performance.now();
    let ended = false;
    for (;;) {
      const reply = this.#take(message.method);
      if (reply === 'partial' && performance.now() - since > STREAM_MS) return this.#leave(socket, replies, 'answered');
      if (reply !== null && reply !== 'partial') {
        replies.push(reply);
        if (reply.status >= 200) break;
        continue;
      }
      if (this.#closed) return this.#leave(socket, replies, 'closed');
      const waited = performance.now() - since;
      if (waited > SILENCE_MS) return this.#leave(socket, replies, 'silent');
      if (!ended && waited > HALF_CLOSE_MS) {
        ended = true;
        socket.end();
      }
      await this.#more(ended ? SILENCE_MS - waited + 1 : HALF_CLOSE_MS - waited + 1);
    }
    const last = replies.at(-1);
    if (!message.sound || ended || last?.fields.get('connection') === 'close') {
      return this.#leave(socket, replies, 'answered');
    }
    return { replies, end: 'answered' };
  }

  close(): void {
    this.#socket?.resetAndDestroy();
    this.#socket = null;
  }

  async #open(): Promise<Socket> {
    if (this.#socket && !this.#closed && this.#received.length === 0) return this.#socket;
    this.close();
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    this.#socket = socket;
    this.#received = Buffer.alloc(0);
    this.#closed = false;
    socket.on('data', (piece) => {
      this.#received = this.#received.length === 0 ? piece : Buffer.concat([this.#received, piece]);
      this.#wake();
    });
    const onClose = (): void => {
      if (this.#socket === socket) this.#closed = true;
      this.#wake();
    };
    socket.on('end', onClose).on('close', onClose).on('error', onClose);
    await new Promise<void>((resolve) => {
      socket.once('connect', resolve).once('close', resolve);
    });
    return socket;
  }

  async #write(socket: Socket, bytes: Buffer, random: Random): Promise<void> {
    if (!random.once(8)) {
      socket.write(bytes);
      return;
    }
    const at = random.int(0, bytes.length);
    socket.write(bytes.subarray(0, at));
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(bytes.subarray(at));
  }

  #leave(socket: Socket, replies: Reply[], end: Outcome['end']): Outcome {
    socket.resetAndDestroy();
    if (this.#socket === socket) this.#socket = null;
    return { replies, end };
  }

  #more(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, ms));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Takes the next reply from the received bytes; `partial` if its body is incomplete, null if its head is. */
  #take(method: string): Reply | 'partial' | null {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) return null;
    const [first = '', ...lines] = this.#received.toString('latin1', 0, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1] ?? 0);
    const fields = new Map(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const from = end + 4;
    const isEmpty = status < 200 || status === 204 || status === 304 || method === 'HEAD';
    if (isEmpty) return this.#cut(from, { status, fields, body: '' });
    if (fields.get('transfer-encoding') === 'chunked') {
      const body = dechunked(this.#received.subarray(from));
      if (body === null) return 'partial';
      return this.#cut(from + body.length, { status, fields, body: kept(body.content) });
    }
    const length = Number(fields.get('content-length') ?? Number.NaN);
    if (Number.isNaN(length)) {
      return this.#closed ? this.#cut(this.#received.length, { status, fields, body: null }) : 'partial';
    }
    if (this.#received.length < from + length) {
      return this.#closed ? this.#cut(this.#received.length, { status, fields, body: null }) : 'partial';
    }
    return this.#cut(from + length, { status, fields, body: kept(this.#received.subarray(from, from + length)) });
  }

  #cut(at: number, reply: Reply): Reply {
    this.#received = this.#received.subarray(at);
    return reply;
  }
}

function kept(body: Buffer): string | null {
  return body.length > KEPT_BYTES ? null : body.toString('utf8');
}

/** The content of a chunked body and its length on the wire; null if the body is incomplete. */
function dechunked(bytes: Buffer): { length: number; content: Buffer } | null {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at);
    if (line === -1) return null;
    const length = Number.parseInt(bytes.toString('latin1', at, line), 16);
    if (!(length >= 0)) return null;
    at = line + 2;
    if (length === 0) {
      const end = bytes.indexOf('\r\n', at);
      return end === -1 ? null : { length: end + 2, content: Buffer.concat(pieces) };
    }
    if (bytes.length < at + length + 2) return null;
    pieces.push(bytes.subarray(at, at + length));
    at += length + 2;
  }
}
