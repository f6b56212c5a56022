import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SegmentJob } from '../../../src/contracts/blobs.ts';
import { startThreads } from '../../../src/storage/disk/pool.ts';
import { packJob } from '../../../workers/segment.ts';
import { temporaryFolder, withCode } from '../../support/disk/storage.ts';

function job(start: number): SegmentJob {
  return {
    buffer: new ArrayBuffer(1000),
    length: 1000,
    start,
    ranges: [{ extent: { start, end: start + 999 }, action: 'write' }],
  };
}

test('closing completes running and waiting jobs, and refuses new ones', async (t) => {
  const threads = startThreads({ workers: 1 });
  const file = await open(join(await temporaryFolder(t), 'part'), 'wx+');
  const jobs = Array.from({ length: 50 }, (_, n) => threads.segment(packJob(file.fd, job(n * 1000))));
  const reading = threads.inspect({ kind: 'verify', fd: file.fd, records: new Float64Array(0), rewrite: false });
  const closing = threads.close();
  for (const outcome of await Promise.all(jobs)) assert.equal(outcome.failure, null);
  assert.deepEqual(await reading, { kind: 'verify', bad: [] });
  await closing;
  assert.equal((await file.stat()).size, 50_000);
  await assert.rejects(async () => threads.segment(packJob(file.fd, job(0))), withCode('shutting_down'));
  await assert.rejects(
    async () => threads.inspect({ kind: 'verify', fd: file.fd, records: new Float64Array(0), rewrite: false }),
    withCode('shutting_down'),
  );
  await file.close();
});

test('the number of waiting jobs is limited', async (t) => {
  const threads = startThreads({ workers: 1, maxQueue: 10 });
  const file = await open(join(await temporaryFolder(t), 'part'), 'wx+');
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, async (_, n) => threads.segment(packJob(file.fd, job(n * 1000)))),
  );
  const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  assert.ok(refused.length > 0 && refused.length < 100, `${refused.length} refused`);
  for (const reason of refused) assert.ok(withCode('overloaded')(reason), String(reason));
  await threads.close();
  await file.close();
});

test('the caller keeps the buffer of a refused job', async () => {
  const threads = startThreads({ workers: 1 });
  await threads.close();
  const task = packJob(0, job(0));
  await assert.rejects(async () => threads.segment(task));
  assert.equal(task.buffer.byteLength, 1000);
});
