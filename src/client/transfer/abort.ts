/** Forwards an abort signal to a controller. */

/** Aborts `controller` when `signal` is aborted. Returns a function that ends the forwarding. */
export function forwardAbort(signal: AbortSignal | undefined, controller: AbortController): () => void {
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  return () => signal?.removeEventListener('abort', abort);
}
