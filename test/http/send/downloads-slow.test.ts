/** Clients that read slowly or not at all, and short memory. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { test } from 'node:test';
import type { Block } from '../../../src/http/send/block-pool.ts';
import type { Downloads } from '../../../src/http/send/downloads.ts';
import { Truncated } from '../../../src/http/send/sources.ts';
import { eventually } from '../../support/eventually.ts';
import { assertIdle, download, MIB, stalled, startBench } from './downloads-setup.ts';

/** Takes all memory of new clients except this much. */
function drain({ pool }: Downloads, leave: number): Block[] {
  const taken: Block[] = [];
  while (pool.budget / 2 - pool.lent > leave) taken.push(pool.take(1, false) as Block);
  return taken;
}

test('a client that accepts no bytes is cut off and notices the truncation', async (t) => {
  for (const http2 of [false, true]) {
    const bench = await startBench(t, { bytesOfFile: 32 * MIB, idleMs: 200, http2 });
    if (http2) {
      const session = connectHttp2(`http://127.0.0.1:${bench.port}`);
      session.on('error', () => undefined);
      t.after(() => session.destroy());
      const stream = session.request({ ':path': '/' });
      stream.on('error', () => undefined);
      stream.pause();
      await new Promise((resolve) => stream.once('close', resolve));
      assert.notEqual(stream.rstCode, 0);
    } else {
      const socket = await stalled(bench.port);
      await eventually(() => bench.outcomes.length === 1, 'the cut');
      let received = 0;
      socket.on('data', (piece: Buffer) => {
        received += piece.length;
      });
      socket.resume();
      await once(socket, 'close');
      assert.ok(received < 32 * MIB);
    }
    await eventually(() => bench.outcomes.length === 1, 'the cut');
    assert.deepEqual(bench.outcomes, [{ kind: 'idle' }]);
    assertIdle(bench);
  }
});

test('a slow client that keeps reading is not cut off', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 12 * MIB, idleMs: 1500 });
  const socket = await stalled(bench.port);
  let received = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.length;
    socket.pause();
    setTimeout(() => socket.resume(), 15);
  });
  socket.resume();
  await eventually(() => bench.outcomes.length === 1, 'the end');
  assert.deepEqual(bench.outcomes, [{ kind: 'sent' }]);
  socket.removeAllListeners('data').resume();
  assert.ok(received > 0);
});

test('stalled clients hold at most the budget, and a fast client still gets its file', async (t) => {
  const bench = await startBench(t, { bytes: MIB, bytesOfFile: 6 * MIB });
  const crowd = await Promise.all(Array.from({ length: 40 }, () => stalled(bench.port)));
  await eventually(() => bench.pump.active === 40, 'the stall');
  assert.deepEqual(await download(bench.port), Buffer.from(bench.bytes));
  assert.ok(bench.pump.pool.lent <= MIB);
  await eventually(() => bench.pump.active === 40, 'the end of the fast one alone');
  assert.deepEqual(bench.outcomes, [{ kind: 'sent' }]);
  for (const socket of crowd) socket.destroy();
  await eventually(() => bench.pump.active === 0, 'all quiet');
  assertIdle(bench);
});

test('a download that gets no memory is refused with overloaded and Retry-After', async (t) => {
  const bench = await startBench(t, { bytes: MIB, maxWaitMs: 30 });
  const taken = drain(bench.pump, 0);
  const [response] = (await once(get({ port: bench.port, agent: false }), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 503);
  assert.equal(bench.refusals[0]?.code, 'overloaded');
  assert.ok(Number(bench.refusals[0]?.members.retry_after) > 0);
  for (const block of taken) bench.pump.pool.give(block);
  assertIdle(bench);
});

test('a client that holds memory without progress is cut off while others wait for memory', async (t) => {
  const bench = await startBench(t, { bytes: MIB, bytesOfFile: 6 * MIB, heldMs: 100, maxWaitMs: 60_000 });
  const taken = drain(bench.pump, 8 * 1024);
  await stalled(bench.port);
  await stalled(bench.port);
  await eventually(() => bench.pump.pool.lent === MIB / 2, 'the stall');
  // While nobody waits, nobody is cut off.
  assert.equal(bench.outcomes.length, 0);
  assert.deepEqual(await download(bench.port), Buffer.from(bench.bytes));
  assert.ok(bench.outcomes.some((outcome) => outcome.kind === 'idle'));
  for (const block of taken) bench.pump.pool.give(block);
});

test('a download of a truncated file is cut off, and its outcome has the error', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 16 * MIB });
  const socket = await stalled(bench.port);
  await eventually(() => bench.pump.pool.lent > 0, 'the stall');
  await bench.file.truncate(12 * MIB);
  let received = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.length;
  });
  socket.resume();
  await once(socket, 'close');
  await eventually(() => bench.outcomes.length === 1, 'the outcome');
  const [outcome] = bench.outcomes;
  assert.ok(outcome?.kind === 'failed', 'it was cut as failed');
  assert.ok(outcome.error instanceof Truncated);
  assert.ok(received < 13 * MIB);
  assertIdle(bench);
});
