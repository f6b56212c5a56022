/**
 * The transport for Node: undici's `request`, which unlike `fetch` retains no sent body and reports how much of it was sent.
 */
import { Readable } from 'node:stream';
import { Connections } from './connections.ts';
import { NetworkError } from './failures.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';
import type { UndiciOptions } from './undici-options.ts';

/** Small enough that a slow link writes a slice within the idle limit, large enough to be cheap on a fast one. */
const SLICE = 64 * 1024;

export type { UndiciOptions } from './undici-options.ts';

/** Creates a transport with a pool of connections. */
export function undiciTransport(options: UndiciOptions = {}): Transport {
  const connections = new Connections(options);
  return {
    request: (request) => sendRequest(connections, request),
    close: () => connections.close(),
  };
}

async function sendRequest(connections: Connections, request: TransportRequest): Promise<TransportResponse> {
  const { body, signal, idleMs } = request;
  signal?.throwIfAborted();
  const length = body?.reduce((sum, part) => sum + part.length, 0) ?? 0;
  const url = new URL(request.url);
  const failed = async (error: unknown): Promise<unknown> => {
    if (signal?.aborted) return signal.reason;
    return error instanceof NetworkError ? error : connections.failure(url, error);
  };
  try {
    const response = await connections.send(url, {
      method: request.method,
      headers: body === undefined ? request.headers : { ...request.headers, 'content-length': String(length) },
      body: () => (length > 0 && body !== undefined ? slices(body, request.onSent) : null),
      // undici restarts the timeout with each written slice, so this limits silence, not the whole request.
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
      ...(signal ? { signal } : {}),
    });
    return {
      status: response.statusCode,
      header: (name) => {
        const value = response.headers[name];
        return value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;
      },
      body: read(response.body, failed),
      // Read a short rest to reuse the connection. A long rest costs more than a new connection.
      discard: () => void response.body.dump({ limit: SLICE }).catch(() => {}),
    };
  } catch (error) {
    throw await failed(error);
  }
}

/** Streams the parts in slices without copying. */
function slices(parts: readonly Uint8Array[], onSent: ((bytes: number) => void) | undefined): Readable {
  let part = 0;
  let at = 0;
  return new Readable({
    highWaterMark: SLICE,
    read() {
      const bytes = parts[part];
      if (bytes === undefined) {
        this.push(null);
        return;
      }
      const slice = bytes.subarray(at, at + SLICE);
      at += slice.length;
      if (at >= bytes.length) {
        part += 1;
        at = 0;
      }
      onSent?.(slice.length);
      this.push(slice);
    },
  });
}

async function* read(
  body: AsyncIterable<Uint8Array>,
  failed: (error: unknown) => Promise<unknown>,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of body) yield piece;
  } catch (error) {
    throw await failed(error);
  }
}
