/**
 * Sends one POST request and returns the status and header fields of the response. Uses `node:http`, because undici rejects unsolicited 1xx
 * responses, which RFC 9110 §15.2 requires clients to accept.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';

/** How much of the response body is read and discarded, and for how long, so that the connection can be reused. */
const DRAIN_BYTES = 16 * 1024;
const DRAIN_MS = 1_000;
/** How long an idle connection is kept for the next request. */
const KEEP_ALIVE_MS = 1_000;

/** The part of a response that callers need. */
export interface PostResponse {
  status: number;
  retryAfter: string | undefined;
}

export interface PostRequest {
  headers: Record<string, string>;
  body: string | Readable;
}

/** Keeps connections alive between requests. */
export class PostClient {
  readonly #lookup: LookupFunction | undefined;
  readonly #plain = new http.Agent({ keepAlive: true, timeout: KEEP_ALIVE_MS });
  readonly #secure = new https.Agent({ keepAlive: true, timeout: KEEP_ALIVE_MS });

  /** @param lookup resolves host names; default: the resolver of the system */
  constructor(lookup?: LookupFunction) {
    this.#lookup = lookup;
  }

  /** Sends a request. Rejects with the error of the connection, or with the reason of `signal`. */
  async post(url: URL, { headers, body }: PostRequest, signal: AbortSignal): Promise<PostResponse> {
    if (typeof body !== 'string') return await this.#send(url, headers, body, signal, true);
    try {
      return await this.#send(url, headers, body, signal, false);
    } catch (error) {
      // The server closed an idle connection just as it was reused.
      if (!(error instanceof StaleConnectionError)) throw error;
      return await this.#send(url, headers, body, signal, true);
    }
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #send(url: URL, headers: Record<string, string>, body: string | Readable, signal: AbortSignal, fresh: boolean) {
    signal.throwIfAborted();
    const secure = url.protocol === 'https:';
    const keptAlive = secure ? this.#secure : this.#plain;
    // Not `Connection: close`: many servers then reset the connection right after an early response, before the response is read.
    const agent = fresh ? new (secure ? https : http).Agent({ keepAlive: true, timeout: KEEP_ALIVE_MS }) : keptAlive;
    const lookup = this.#lookup === undefined ? {} : { lookup: this.#lookup };
    const request = (secure ? https : http).request(url, { method: 'POST', headers, agent, ...lookup });
    return new Promise<PostResponse>((resolve, reject) => {
      const abort = (): void => void request.destroy(reasonOf(signal));
      signal.addEventListener('abort', abort, { once: true });
      const removeListener = (): void => signal.removeEventListener('abort', abort);
      request.once('response', (response) => {
        removeListener();
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'] });
        if (typeof body !== 'string') body.destroy();
        drain(request, response);
      });
      // An unsolicited 101.
      request.once('upgrade', (response, socket) => {
        removeListener();
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, retryAfter: undefined });
      });
      request.on('error', (error) => {
        removeListener();
        if (typeof body !== 'string') body.destroy();
        reject(
          request.reusedSocket && !signal.aborted ? new StaleConnectionError(error.message, { cause: error }) : error,
        );
      });
      if (typeof body === 'string') request.end(body);
      else {
        body.on('error', (error) => request.destroy(error));
        body.pipe(request);
      }
    });
  }
}

/** The server closed a reused connection. */
class StaleConnectionError extends Error {}

function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** Reads and discards a short body, so that the connection can be reused. Closes it if the body is long or slow. */
function drain(request: http.ClientRequest, response: http.IncomingMessage): void {
  const timer = setTimeout(() => request.destroy(), DRAIN_MS).unref();
  let bytes = 0;
  response.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > DRAIN_BYTES) request.destroy();
  });
  response.on('error', () => {});
  response.once('close', () => {
    clearTimeout(timer);
    // The server responded before it had the whole request. The remainder is not sent.
    if (!request.writableFinished) request.destroy();
  });
}
