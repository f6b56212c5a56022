/** More uploads than buffers: a request that waits too long is refused with Retry-After and succeeds later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { startThreads, type Threads } from '../../../src/storage/disk/pool.ts';
import { content, turnsUntil } from '../../support/product/device.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblem, Wire } from '../../support/wire/wire.ts';

/** The minimum of the setting, and its number of buffers for small chunks. */
const BUFFER_BYTES = 8 * 1024 ** 2;
const SMALL_BUFFERS = 32;
const CHUNK = 1000;

/** Worker threads that begin no write until they are released, like a hanging disk. */
function hangingThreads(): { threads: Threads; release(): void; close(): Promise<void> } {
  const real = startThreads({ workers: 1 });
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const threads: Threads = {
    segment: async (task) => {
      await released;
      return real.segment(task);
    },
    inspect: (task) => real.inspect(task),
    close: () => real.close(),
  };
  return { threads, release: () => release(), close: () => real.close() };
}

test('a chunk that gets no buffer is refused with 503 and Retry-After, and succeeds later', {
  timeout: 60_000,
}, async (t) => {
  const disk = hangingThreads();
  // A failed test must not leave its server blocked.
  t.after(() => disk.release());
  const settings = { LADING_BUFFER_BYTES: String(BUFFER_BYTES), LADING_IDLE_SECONDS: '1' };
  const { port, client, origin, app } = await startServer(t, settings, { threads: disk.threads });
  t.after(() => disk.close());
  const begin = async (name: string, start: number, total: number): Promise<Wire> => {
    const chunk = encodeChunk(start, content(start, CHUNK));
    const wire = await Wire.open(port);
    t.after(() => wire.destroy());
    return wire
      .head(
        `POST /api/files/upload?filename=${name}&total_size=${total} HTTP/1.1`,
        'Host: localhost',
        `Authorization: ${client.headers.authorization}`,
        'Content-Type: application/octet-stream',
        `Content-Length: ${chunk.length}`,
      )
      .send(chunk);
  };
  const total = SMALL_BUFFERS * CHUNK;
  const holders = await Promise.all(Array.from({ length: SMALL_BUFFERS }, (_, i) => begin('busy', i * CHUNK, total)));
  await turnsUntil(() => app.engine.gauges().segments_small_in_use === SMALL_BUFFERS, 'the end of the buffers');

  t.mock.timers.enable({ apis: ['setTimeout'] });
  const late = await begin('late', 0, CHUNK);
  await turnsUntil(() => app.engine.gauges().segments_waiting === 1, 'the wait for a buffer');
  t.mock.timers.tick(3_600_000);
  t.mock.timers.reset();
  const refused = await late.response();
  const { retry_after: seconds } = assertProblem(refused, 'overloaded');
  assert.ok(seconds !== undefined && seconds > 0);
  assert.equal(refused.headers['retry-after'], String(seconds));
  // Requests that need no buffer still work.
  const reply = await fetch(`${origin}/api/files/status/late`, { headers: client.headers });
  assert.equal(((await reply.json()) as FileStatus).status, 'pending');

  disk.release();
  for (const holder of holders) {
    const done = await holder.response();
    assert.equal(done.status, 200, done.body);
  }
  const again = await (await begin('late', 0, CHUNK)).response();
  assert.equal(again.status, 200, again.body);
  assert.equal((JSON.parse(again.body) as FileStatus).status, 'complete');
  assert.equal(app.engine.gauges().segments_small_in_use, 0);
  const busy = await fetch(`${origin}/api/files/download/busy`, { headers: client.headers });
  assert.deepEqual(Buffer.from(await busy.arrayBuffer()), Buffer.from(content(0, total)));
});
