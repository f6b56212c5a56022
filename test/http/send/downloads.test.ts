import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Reader } from '../../../src/contracts/blobs.ts';
import { PiecesSource } from '../../../src/http/send/sources.ts';
import { eventually } from '../../support/eventually.ts';
import { content } from '../../support/product/device.ts';
import { assertIdle, download, MIB, stalled, startBench } from './downloads-setup.ts';

test('a whole file is sent with any block size', async (t) => {
  for (const maxBlock of [4096, 64 * 1024, MIB]) {
    const bench = await startBench(t, { maxBlock });
    assert.deepEqual(await download(bench.port), Buffer.from(bench.bytes));
    await eventually(() => bench.pump.active === 0, 'all quiet');
    assert.deepEqual(bench.outcomes, [{ kind: 'sent' }]);
    assertIdle(bench);
  }
});

test('an empty body is sent', async (t) => {
  const bench = await startBench(t, { pieces: [] });
  assert.equal((await download(bench.port)).length, 0);
  await eventually(() => bench.pump.active === 0, 'all quiet');
  assertIdle(bench);
});

test('pieces are sent in their order', async () => {
  const file = content(0, 5_000);
  const reader: Reader = {
    read: async (into, position) => {
      const piece = file.subarray(position, position + into.length);
      into.set(piece);
      return piece.length;
    },
    release: () => undefined,
  };
  const extent = fc
    .tuple(fc.nat(file.length - 1), fc.nat(file.length - 1))
    .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));
  const piece = fc.oneof(extent, fc.uint8Array({ maxLength: 300 }));
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.integer({ min: 1, max: 900 }), async (pieces, block) => {
      const expected = Buffer.concat(
        pieces.map((each) => (each instanceof Uint8Array ? each : file.subarray(each.start, each.end + 1))),
      );
      const source = new PiecesSource(reader, pieces);
      assert.equal(source.remaining, expected.length);
      const got: Buffer[] = [];
      const into = Buffer.alloc(block);
      for (let length = await source.fill(into); length > 0; length = await source.fill(into)) {
        got.push(Buffer.from(into.subarray(0, length)));
      }
      assert.equal(source.remaining, 0);
      assert.deepEqual(Buffer.concat(got), expected);
    }),
    { numRuns: 50 },
  );
});

test('many requests on one connection leave no listeners on it', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 1000 });
  const warned = t.mock.method(process, 'emitWarning');
  const socket = connect({ port: bench.port, host: '127.0.0.1' });
  let received = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.toString('latin1').split('HTTP/1.1 200').length - 1;
  });
  // Pipelined: each answer waits for the previous ones.
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(60));
  await eventually(() => received === 60, 'sixty answers');
  await eventually(() => bench.pump.active === 0, 'all quiet');
  assert.deepEqual(bench.outcomes, new Array(60).fill({ kind: 'sent' }));
  assertIdle(bench);
  socket.destroy();
  assert.equal(warned.mock.callCount(), 0);
});

test('a client that leaves during its download or before its turn frees all memory', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 32 * MIB });
  const one = await stalled(bench.port);
  const two = await stalled(bench.port);
  // A second request waits behind an endless answer.
  one.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => bench.pump.active === 3 && bench.pump.pool.lent > 0, 'the stall');
  one.destroy();
  two.resetAndDestroy();
  await eventually(() => bench.outcomes.length === 3, 'three ends');
  assert.deepEqual(bench.outcomes, new Array(3).fill({ kind: 'left' }));
  assertIdle(bench);
});

test('HTTP/2: files are sent concurrently, and a reset stream frees all memory', async (t) => {
  const bench = await startBench(t, { http2: true });
  const session = connectHttp2(`http://127.0.0.1:${bench.port}`);
  // Close the server's sockets first at the end of the test.
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  const ask = async (): Promise<Buffer> => {
    const stream = session.request({ ':path': '/' });
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  };
  for (const got of await Promise.all([ask(), ask(), ask()])) assert.deepEqual(got, Buffer.from(bench.bytes));
  for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]) {
    const before = bench.outcomes.length;
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => undefined);
    stream.pause();
    await once(stream, 'response');
    await eventually(() => bench.pump.pool.lent > 0, 'the stall');
    stream.close(code);
    await eventually(() => bench.outcomes.length > before, 'the end of the stream');
    assert.deepEqual(bench.outcomes.at(-1), { kind: 'left' });
    await eventually(() => bench.pump.pool.lent === 0, 'the block');
    assertIdle(bench);
  }
  assert.deepEqual(await ask(), Buffer.from(bench.bytes), 'the connection stays usable');
});
