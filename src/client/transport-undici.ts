/**
 * The transport of Node: undici's `request`, which unlike `fetch` does not keep a sent body, and tells how much of it is out.
 */
import { Readable } from 'node:stream';
import { Agent, errors, request as send } from 'undici';
import { NetworkError } from './failures.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

/** Small enough that a slow but living link writes one within the idle limit, large enough to cost nothing on a fast one. */
const SLICE = 64 * 1024;

export interface UndiciOptions {
  /** Most connections to the server at once. */
  connections?: number;
  /** Milliseconds to wait for a connection. */
  connectMs?: number;
}

export function undiciTransport(options: UndiciOptions = {}): Transport {
  const agent = new Agent({
    connections: options.connections ?? 32,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    connect: { timeout: options.connectMs ?? 15_000 },
  });
  return {
    request: (request) => request_(agent, request),
    close: () => agent.destroy(),
  };
}

async function request_(agent: Agent, request: TransportRequest): Promise<TransportResponse> {
  const { body, signal, idleMs } = request;
  const length = body?.reduce((sum, part) => sum + part.length, 0) ?? 0;
  const failed = (error: unknown): unknown => {
    if (signal?.aborted) return signal.reason;
    return new NetworkError(explain(error), { cause: error });
  };
  try {
    const response = await send(request.url, {
      dispatcher: agent,
      method: request.method,
      headers: body === undefined ? request.headers : { ...request.headers, 'content-length': String(length) },
      body: length > 0 && body !== undefined ? slices(body, request.onSent) : null,
      // undici counts a written slice as a sign of life, so this is a limit on silence, not on the whole request.
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
      // A short rest is read, so that the connection lives on; a long one costs more than a new connection.
      discard: () => void response.body.dump({ limit: SLICE }).catch(() => {}),
    };
  } catch (error) {
    throw failed(error);
  }
}

/** The parts as a stream of slices, without a copy. */
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

async function* read(body: AsyncIterable<Uint8Array>, failed: (error: unknown) => unknown): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of body) yield piece;
  } catch (error) {
    throw failed(error);
  }
}

/** A sentence for people: what happened, with the system's own code for those who look further. */
function explain(error: unknown): string {
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) {
    return 'Nothing came from the server for too long.';
  }
  if (error instanceof errors.ConnectTimeoutError) return 'The server did not accept a connection in time.';
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
  const said = cause instanceof Error && cause.message !== '' ? cause.message : 'no reason given';
  return code === null || said.includes(code)
    ? `The connection failed: ${said}.`
    : `The connection failed: ${said} (${code}).`;
}
