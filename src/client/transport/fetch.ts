/** The portable transport: browsers, and anything else that has `fetch`. It cannot tell how much of a body was sent. */
import { isConnectionCut, isTlsFailure, NetworkError, networkError, tlsRequired } from './failures.ts';
import type { Transport, TransportRequest, TransportResponse } from './transport.ts';

/** A body gets this long on top of the idle limit, for `fetch` does not say whether bytes still move. */
const SLOWEST_BYTES_PER_MS = 4;

/** A plain server closes at once on the first byte of TLS; one that is silent is not asked for longer. */
const PROBE_MS = 3_000;

/** What is sent for a part of a body: the same bytes, where they may be had without another copy of them. */
export type AsSent = (part: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> | Blob;

/** `send` is the `fetch` to use; by default the global one. */
export function fetchTransport(
  send: typeof fetch = (...args) => fetch(...args),
  asSent: AsSent = (part) => part,
): Transport {
  const peer = { met: false };
  return {
    request: (request) => request_(send, asSent, peer, request),
    close: async () => {},
  };
}

/** @param peer whether the server has answered before */
async function request_(
  send: typeof fetch,
  asSent: AsSent,
  peer: { met: boolean },
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
    return error instanceof NetworkError ? error : networkError(error, peer.met);
  };
  idle.touch(bytes / SLOWEST_BYTES_PER_MS);
  try {
    const response = await send(request.url, {
      method: request.method,
      headers: request.headers,
      signal: controller.signal,
      redirect: 'manual',
      ...(parts === undefined ? {} : { body: new Blob(parts.map(asSent)) }),
    });
    // A browser does not show a page where a redirect leads.
    if (response.type === 'opaqueredirect') {
      throw new NetworkError('The server answered with a redirect. Use the address that it leads to.', { final: true });
    }
    peer.met = true;
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
    if (!peer.met && isConnectionCut(error) && (await speaksTls(send, request.url)))
      throw failed(tlsRequired(request.url));
    throw failed(error);
  }
}

/** As a handshake where plain HTTP got no answer; only a `fetch` that says why it failed can tell. */
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
      // While the reader of this generator is busy nobody waits for the network.
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
    const late = () => this.#controller.abort(new NetworkError('Nothing came from the server for too long.'));
    this.#timer = setTimeout(late, this.#idleMs + extraMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
