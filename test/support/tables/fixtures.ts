/** Content and clients for tests of transfers. */
import type { TestContext } from 'node:test';
import { LadingClient, type LadingClientOptions } from '../../../src/client/client.ts';
import { fastCrc32 } from '../../../src/client/node.ts';
import type { RetryOptions } from '../../../src/client/transfer/retry.ts';
import type { UploadSource } from '../../../src/client/transfer/upload.ts';
import { undiciTransport } from '../../../src/client/transport/undici.ts';
import type { TestServer } from '../product/server.ts';

/** Bytes that the seed determines. */
export function bytesOf(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Retries without noticeable waits. */
export const QUICK: RetryOptions = { firstDelayMs: 5, longestDelayMs: 40, retryForMs: 60_000 };

/** A client with its own connections, closed after the test. */
export function clientOf(t: TestContext, options: LadingClientOptions): LadingClient {
  const client = new LadingClient({ transport: undiciTransport(), crc32: fastCrc32(), idleMs: 20_000, ...options });
  t.after(() => client.close());
  return client;
}

/** A client signed in as the ordinary client, through `through` or directly. */
export function deviceOf(t: TestContext, server: TestServer, through = server.origin): LadingClient {
  return clientOf(t, { server: through, token: server.client.token });
}

/** An upload source of bytes in memory. */
export function sourceOf(bytes: Uint8Array<ArrayBuffer>, extra: Partial<UploadSource> = {}): UploadSource {
  return { size: bytes.length, read: async (start, end) => bytes.slice(start, end + 1), ...extra };
}

/** Reads all bytes of a stream. */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}
