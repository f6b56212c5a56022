/**
 * The interface between the client library and the network: one request, one response. Failures below HTTP are thrown as `NetworkError`.
 * An aborted request throws the reason of the signal.
 */

/** One HTTP request. */
export interface TransportRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  /** Parts of the body, sent in order. The sum of their lengths is the Content-Length; an empty list sends `Content-Length: 0`. */
  body?: readonly Uint8Array<ArrayBuffer>[];
  signal?: AbortSignal | undefined;
  /** Milliseconds without a byte in either direction after which the request fails. */
  idleMs: number;
  /** Called with the number of body bytes that were passed to the network since the last call. A transport may ignore it. */
  onSent?: ((bytes: number) => void) | undefined;
}

/** A response whose body may still be arriving. */
export interface TransportResponse {
  status: number;
  /** The value of a header field, by its lowercase name; null when absent. */
  header(name: string): string | null;
  /** The content, which can be read once. Throws `NetworkError` when it ends before its declared length. */
  body: AsyncIterable<Uint8Array>;
  /** Ends the exchange without reading the rest. */
  discard(): void;
}

/** Sends requests. */
export interface Transport {
  request(request: TransportRequest): Promise<TransportResponse>;
  /** Closes all connections and aborts running requests. */
  close(): Promise<void>;
}

/** Reads a response as text. Discards the rest after `limit` bytes, because error pages of proxies may be long. */
export async function readText(response: TransportResponse, limit = 16 * 1024 * 1024): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const piece of response.body) {
    bytes += piece.length;
    text += decoder.decode(piece, { stream: true });
    if (bytes > limit) break;
  }
  return text + decoder.decode();
}
