/**
 * One POST to somebody else's server, of whose answer the status line and the header fields count. By Node's own HTTP: unlike the client
 * that is used elsewhere, it takes answers of 1xx that nobody asked for, as RFC 9110 §15.2 demands.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';

/** How much of an unused reply body is read, and for how long, so that the connection can be reused. */
const REST_BYTES = 16 * 1024;
const REST_MS = 1_000;
/** How long a connection is kept for the next message. */
const KEPT_MS = 1_000;

export interface Answer {
  status: number;
  retryAfter: string | undefined;
}

export interface Message {
  headers: Record<string, string>;
  body: string | Readable;
}

export class Poster {
  readonly #lookup: LookupFunction | undefined;
  readonly #plain = new http.Agent({ keepAlive: true, timeout: KEPT_MS });
  readonly #secure = new https.Agent({ keepAlive: true, timeout: KEPT_MS });

  /** @param lookup finds the addresses to connect to; without one, names mean what the system says */
  constructor(lookup?: LookupFunction) {
    this.#lookup = lookup;
  }

  /** Resolves with the answer; rejects with what the connection failed with, or the reason of `signal`. */
  async post(url: URL, { headers, body }: Message, signal: AbortSignal): Promise<Answer> {
    if (typeof body !== 'string') return await this.#try(url, headers, body, signal, true);
    try {
      return await this.#try(url, headers, body, signal, false);
    } catch (error) {
      // The other side closed a connection that was kept, just as it was used again.
      if (!(error instanceof Stale)) throw error;
      return await this.#try(url, headers, body, signal, true);
    }
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #try(url: URL, headers: Record<string, string>, body: string | Readable, signal: AbortSignal, fresh: boolean) {
    signal.throwIfAborted();
    const secure = url.protocol === 'https:';
    const kept = secure ? this.#secure : this.#plain;
    // Not `Connection: close`: many servers would end the connection as soon as they answered, before we read why they want no more.
    const agent = fresh ? new (secure ? https : http).Agent({ keepAlive: true, timeout: KEPT_MS }) : kept;
    const lookup = this.#lookup === undefined ? {} : { lookup: this.#lookup };
    const request = (secure ? https : http).request(url, { method: 'POST', headers, agent, ...lookup });
    return new Promise<Answer>((resolve, reject) => {
      const abort = (): void => void request.destroy(reasonOf(signal));
      signal.addEventListener('abort', abort, { once: true });
      const settled = (): void => signal.removeEventListener('abort', abort);
      request.once('response', (response) => {
        settled();
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
        if (typeof body !== 'string') body.destroy();
        readRest(request, response);
      });
      // 101 to a request that asked for nothing of the kind.
      request.once('upgrade', (response, socket) => {
        settled();
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, retryAfter: undefined });
      });
      request.on('error', (error) => {
        settled();
        if (typeof body !== 'string') body.destroy();
        reject(request.reusedSocket && !signal.aborted ? new Stale(error.message, { cause: error }) : error);
      });
      if (typeof body === 'string') request.end(body);
      else {
        body.on('error', (error) => request.destroy(error));
        body.pipe(request);
      }
    });
  }
}

/** A connection that was kept is closed. */
class Stale extends Error {}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** A short rest is read, so that the connection can be used again. It may never end. */
function readRest(request: http.ClientRequest, response: http.IncomingMessage): void {
  const timer = setTimeout(() => request.destroy(), REST_MS).unref();
  let bytes = 0;
  response.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > REST_BYTES) request.destroy();
  });
  response.on('error', () => {});
  response.once('close', () => {
    clearTimeout(timer);
    // It answered before it had everything: what is left is not sent.
    if (!request.writableFinished) request.destroy();
  });
}
