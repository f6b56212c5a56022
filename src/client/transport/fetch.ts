/** The portable transport, for browsers and any other platform with `fetch`. It cannot report how much of a body was sent. */
import { isConnectionCut, isTlsFailure, NetworkError, networkError, tlsRequired } from './failures.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

/** Extends the idle limit by the size of the body, because `fetch` does not report whether bytes are moving. */
const MIN_BYTES_PER_MS = 4;

/** A server without TLS closes at once on a TLS handshake. A silent server is not probed longer. */
const PROBE_MS = 3_000;

/** Returns what to send for a part of a body: its bytes, or a blob with the same bytes that need not be copied. */
export type AsSent = (part: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> | Blob;

/** @param send the `fetch` to use; by default the global one */
export function fetchTransport(
  send: typeof fetch = (...args) => fetch(...args),
  asSent: AsSent = (part) => part,
): Transport {
  const peer = { hasAnswered: false };
  return {
    request: (request) => sendRequest(send, asSent, peer, request),
    close: async () => {},
  };
}

/** @param peer whether the server has answered before */
async function sendRequest(
  send: typeof fetch,
  asSent: AsSent,
  peer: { hasAnswered: boolean },
  request: TransportRequest,
): Promise<TransportResponse> {
  request.signal?.throwIfAborted();
  const controller = new AbortController();
  const idle = new IdleTimer(controller, request.idleMs);
  const abort = () => controller.abort(request.signal?.reason);
  request.signal?.addEventListener('abort', abort, { once: true });
  const done = () => {
    idle.stop();
    request.signal?.removeEventListener('abort', abort);
  };
  const parts = request.body;
  const bytes = parts?.reduce((sum, part) => sum + part.length, 0) ?? 0;
  const failed = (error: unknown): unknown => {
    done();
    if (request.signal?.aborted) return request.signal.reason;
    return error instanceof NetworkError ? error : networkError(error, peer.hasAnswered);
  };
  idle.touch(bytes / MIN_BYTES_PER_MS);
  try {
    const response = await send(request.url, {
      method: request.method,
      headers: request.headers,
      signal: controller.signal,
      redirect: 'manual',
      ...(parts === undefined ? {} : { body: new Blob(parts.map(asSent)) }),
    });
    // A browser does not reveal the target of a redirect.
    if (response.type === 'opaqueredirect') {
      throw new NetworkError('The server answered with a redirect. Use the address to which it leads.', {
        final: true,
      });
    }
    peer.hasAnswered = true;
    if (bytes > 0) request.onSent?.(bytes);
    idle.touch();
    return {
      status: response.status,
      header: (name) => response.headers.get(name),
      body: read(response, idle, done, failed),
      discard: () => {
        done();
        controller.abort();
      },
    };
  } catch (error) {
    if (!peer.hasAnswered && isConnectionCut(error) && (await speaksTls(send, request.url)))
      throw failed(tlsRequired(request.url));
    throw failed(error);
  }
}

/** True when the server answers over TLS after plain HTTP failed. Requires a `fetch` that reports why it failed. */
async function speaksTls(send: typeof fetch, url: string): Promise<boolean> {
  if (!url.startsWith('http:')) return false;
  try {
    const signal = AbortSignal.timeout(PROBE_MS);
    await (await send(url.replace(/^http/, 'https'), { method: 'HEAD', redirect: 'manual', signal })).body?.cancel();
    return true;
  } catch (error) {
    return isTlsFailure(error);
  }
}

async function* read(
  response: Response,
  idle: IdleTimer,
  done: () => void,
  failed: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  try {
    for (;;) {
      idle.touch();
      const next = await reader?.read();
      if (next === undefined || next.done) break;
      // Do not count the time in which the consumer is busy.
      idle.stop();
      yield next.value;
    }
  } catch (error) {
    throw failed(error);
  } finally {
    done();
    await reader?.cancel().catch(() => {});
  }
}

class IdleTimer {
  readonly #controller: AbortController;
  readonly #idleMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(controller: AbortController, idleMs: number) {
    this.#controller = controller;
    this.#idleMs = idleMs;
  }

  touch(extraMs = 0): void {
    this.stop();
    const abort = () => this.#controller.abort(new NetworkError('The server sent nothing in time.'));
    this.#timer = setTimeout(abort, this.#idleMs + extraMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
