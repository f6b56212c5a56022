import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type LadingClient, LadingError, NetworkError } from '../../../src/client/client.ts';
import type { Transport } from '../../../src/client/transport/transport.ts';
import { undiciTransport } from '../../../src/client/transport/undici.ts';
import { startServer } from '../../support/product/server.ts';
import { bytesOf, clientOf, deviceOf } from '../../support/tables/fixtures.ts';

const SIZE = 20;

/**
 * Follows a file with 10 received bytes. Then the connection breaks and five more bytes arrive. Before the follower requests them,
 * `meanwhile` runs. Resolves with the number of received bytes and the error that ended the stream.
 */
async function followed(
  t: TestContext,
  meanwhile: (direct: LadingClient) => Promise<unknown>,
): Promise<{ bytes: number; error: unknown }> {
  const server = await startServer(t);
  const direct = deviceOf(t, server);
  await direct.uploadChunk('f', { start: 0, data: bytesOf(10), totalSize: SIZE });
  const { request, close } = undiciTransport();
  let requested = false;
  const breaking: Transport['request'] = async (call) => {
    if (call.headers.range !== undefined && !requested) {
      requested = true;
      await meanwhile(direct);
    }
    const response = await request(call);
    if (call.method !== 'GET' || !call.url.includes('follow=true')) return response;
    return { ...response, body: broken(response.body) };
  };
  async function* broken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const bytes of body) {
      yield bytes;
      await direct.uploadChunk('f', { start: 10, data: bytesOf(5), totalSize: SIZE });
      throw new NetworkError('The connection broke.');
    }
  }
  const transport = { request: breaking, close };
  const client = clientOf(t, { server: server.origin, token: server.client.token, transport });
  let bytes = 0;
  try {
    for await (const piece of client.read('f', { follow: true, firstDelayMs: 1 })) bytes += piece.length;
  } catch (error) {
    return { bytes, error };
  } finally {
    assert.ok(requested);
  }
  return { bytes, error: null };
}

test('a followed file that is replaced between status and download fails as replaced', async (t) => {
  for (const length of [SIZE, 5]) {
    const { bytes, error } = await followed(t, async (direct) => {
      await direct.remove('f');
      await direct.uploadChunk('f', { start: 0, data: bytesOf(length, 7), totalSize: SIZE });
    });
    assert.ok(error instanceof LadingError, String(error));
    assert.deepEqual([bytes, error.code], [10, 'precondition_failed'], `${length} bytes of the replacement`);
  }
});

test('a followed file that is deleted between status and download fails as deleted', async (t) => {
  const { bytes, error } = await followed(t, (direct) => direct.remove('f'));
  assert.ok(error instanceof LadingError, String(error));
  assert.deepEqual([bytes, error.code], [10, 'not_found']);
  assert.match(error.message, /removed/);
});
