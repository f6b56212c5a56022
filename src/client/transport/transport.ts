/**
 * The door between the client and the network. One request, one response; what goes wrong below HTTP is a `NetworkError`, what the
 * caller's signal ended is thrown as the signal's reason.
 */

export interface TransportRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  /** Sent one after the other; the sum of their lengths is the Content-Length. Empty: `Content-Length: 0`. */
  body?: readonly Uint8Array<ArrayBuffer>[];
  signal?: AbortSignal | undefined;
  /** Milliseconds without a byte in either direction after which the request fails. */
  idleMs: number;
  /** Called with the number of body bytes handed to the network since the last call; not every transport can tell. */
  onSent?: ((bytes: number) => void) | undefined;
}

export interface TransportResponse {
  status: number;
  /** The value of a header field, null when absent. Names in lower case. */
  header(name: string): string | null;
  /** The content, to be read once. Throws `NetworkError` when it ends before its declared length. */
  body: AsyncIterable<Uint8Array>;
  /** Ends the exchange without reading what is left. */
  discard(): void;
}

export interface Transport {
  request(request: TransportRequest): Promise<TransportResponse>;
  /** Closes idle connections; requests that run are ended. */
  close(): Promise<void>;
}

/** Reads a whole response as text. Past `limit` bytes the rest is thrown away: error pages of strangers may be long. */
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
