/** How senders of every speed share a fixed number of segments. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { LARGE_SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from '../../../src/engine/body/buffer-pool.ts';
import type { EngineSettings } from '../../../src/engine/parts.ts';
import { LadingError } from '../../../src/errors.ts';
import { CHUNK_HEADER_BYTES } from '../../../src/protocol/chunk.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import {
  content,
  download,
  OWNER,
  readRange,
  refused,
  type SlowSend,
  send,
  sendSlowly,
  settle,
  turnsUntil,
} from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

const MIB = 1024 ** 2;
/** Buffer memory with two large segments. */
const TWO_LARGE = 4 * LARGE_SEGMENT_BYTES;

async function rig(
  t: TestContext,
  settings: Partial<EngineSettings> = {},
): Promise<{ run: EngineUnderTest; tap: Tap }> {
  const tap = new Tap();
  return { run: await startEngine(t, settings, { tap }), tap };
}

function inUse({ engine }: EngineUnderTest): { large: number; small: number } {
  const gauges = engine.gauges();
  return { large: gauges.segments_large_in_use ?? -1, small: gauges.segments_small_in_use ?? -1 };
}

const NONE = { large: 0, small: 0 };

test('a sender of one byte at a time holds no segment, up to 64 KiB', async (t) => {
  const { run, tap } = await rig(t);
  const length = SMALL_SEGMENT_BYTES + 100;
  const slow = sendSlowly(run.engine, 'f', 0, content(0, length));
  for (let sent = 0; sent < SMALL_SEGMENT_BYTES - 1; sent += 257) {
    slow.push(Math.min(257, SMALL_SEGMENT_BYTES - 1 - sent));
    await slow.taken();
    assert.deepEqual(inUse(run), NONE);
  }
  assert.equal(tap.jobs.length, 0);
  slow.push(1);
  await turnsUntil(() => tap.jobs.length === 1);
  await turnsUntil(() => inUse(run).large + inUse(run).small === 0);
  assert.ok((tap.jobs[0]?.length ?? 0) >= SMALL_SEGMENT_BYTES, 'then the worker gets the bytes that arrived');
  slow.push();
  slow.end();
  assert.equal((await slow.reply).bytes_received, length);
});

test('a fast sender fills large segments', async (t) => {
  const { run, tap } = await rig(t);
  const bytes = content(0, 2.5 * LARGE_SEGMENT_BYTES);
  await send(run.engine, 'f', 0, bytes, { declaredSize: bytes.length });
  assert.deepEqual(
    tap.jobs.map((job) => job.length),
    [LARGE_SEGMENT_BYTES, LARGE_SEGMENT_BYTES, LARGE_SEGMENT_BYTES / 2],
  );
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from(bytes));
});

test('a slow sender uses small segments', async (t) => {
  const { run, tap } = await rig(t);
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const slow = sendSlowly(run.engine, 'f', 0, content(0, 5 * SMALL_SEGMENT_BYTES));
  for (let i = 0; i < 5; i += 1) {
    await slow.taken();
    await settle();
    now += 1000;
    slow.push(SMALL_SEGMENT_BYTES);
    await turnsUntil(() => tap.jobs.length === i + 1);
  }
  slow.end();
  assert.equal((await slow.reply).bytes_received, 5 * SMALL_SEGMENT_BYTES);
  assert.ok(tap.jobs.every((job) => job.length === SMALL_SEGMENT_BYTES));
});

test('a sender that becomes slow gives its large segment back', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { run } = await rig(t);
  const slow = sendSlowly(run.engine, 'f', 0, content(0, 4 * MIB));
  slow.push(SMALL_SEGMENT_BYTES);
  await turnsUntil(() => inUse(run).large === 1);
  // A byte every tenth of a second: the sender is never silent and never fills a segment.
  for (let tenth = 0; tenth < 4; tenth += 1) {
    slow.push(1);
    await slow.taken();
    t.mock.timers.tick(100);
    await settle();
  }
  await turnsUntil(() => inUse(run).large === 0);
  for (let tenth = 0; tenth < 50; tenth += 1) {
    slow.push(1);
    await slow.taken();
    t.mock.timers.tick(100);
    await settle(2);
    assert.deepEqual(inUse(run), NONE);
  }
  slow.sever();
  await refused(slow.reply, 'length_mismatch');
});

test('workers process at most two segments of one chunk', async (t) => {
  const { run, tap } = await rig(t);
  const gates = [tap.hold('part.write'), tap.hold('part.write')];
  const reply = send(run.engine, 'f', 0, content(0, 12 * MIB));
  await Promise.all(gates.map((gate) => gate.reached));
  await settle(100);
  assert.equal(tap.jobs.length, 2);
  assert.equal(inUse(run).large, 2);
  for (const gate of gates) gate.open();
  assert.equal((await reply).bytes_received, 12 * MIB);
  assert.deepEqual(inUse(run), NONE);
});

test('a request that waits too long for a segment is refused with 503 overloaded, and small chunks succeed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { run, tap } = await rig(t, { bufferBytes: TWO_LARGE });
  const gates = [tap.hold('part.write'), tap.hold('part.write')];
  const first = send(run.engine, 'f', 0, content(0, 6 * MIB));
  await Promise.all(gates.map((gate) => gate.reached));
  const second = send(run.engine, 'g', 0, content(0, 6 * MIB));
  second.catch(() => {});
  await turnsUntil(() => run.engine.gauges().segments_waiting === 1);
  assert.equal((await send(run.engine, 'h', 0, content(0, SMALL_SEGMENT_BYTES))).bytes_received, SMALL_SEGMENT_BYTES);
  t.mock.timers.tick(10_000);
  const error = await refused(second, 'overloaded');
  assert.equal(error.members.retry_after, 10);
  assert.equal((await run.engine.status(OWNER, 'g')).status, 'pending');
  for (const gate of gates) gate.open();
  assert.equal((await first).bytes_received, 6 * MIB);
  assert.equal((await send(run.engine, 'g', 0, content(0, 6 * MIB))).bytes_received, 6 * MIB);
  assert.deepEqual(inUse(run), NONE);
});

test('a buffer that was lost with its worker is replaced', async (t) => {
  const { run, tap } = await rig(t, { bufferBytes: TWO_LARGE });
  for (let i = 0; i < 6; i += 1) {
    tap.fail('part.write', new LadingError('insufficient_storage', 'no room'), 'after');
    await refused(send(run.engine, 'f', 0, content(0, 3 * MIB)), 'insufficient_storage');
    assert.deepEqual(inUse(run), NONE);
  }
  const bytes = content(0, 9 * MIB);
  await send(run.engine, 'f', 0, bytes, { declaredSize: bytes.length });
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from(bytes));
});

test('a refused chunk on a full disk frees its space, unless another request writes there', async (t) => {
  const { run, tap } = await rig(t);
  const { engine } = run;
  const stored = content(0, 1000);
  const { id } = await send(engine, 'f', 0, stored, { declaredSize: 10 * MIB });
  const size = async (): Promise<number> => (await stat(new Layout(run.dataDir).file(id ?? '').part)).size;
  tap.fail('part.write', new LadingError('insufficient_storage', 'no room'), 'after');
  await refused(send(engine, 'f', 5000, content(5000, MIB)), 'insufficient_storage');
  assert.equal(await size(), 1000);
  const other = sendSlowly(engine, 'f', 4 * MIB, content(4 * MIB, MIB));
  other.push(MIB / 2);
  await other.taken();
  await run.quiet();
  tap.fail('part.write', new LadingError('insufficient_storage', 'no room'), 'after');
  await refused(send(engine, 'f', 5000, content(5000, 100)), 'insufficient_storage');
  other.push();
  other.end();
  assert.equal((await other.reply).bytes_received, 1000 + MIB);
  assert.deepEqual(await readRange(engine, 'f', 4 * MIB, 5 * MIB - 1), Buffer.from(content(4 * MIB, MIB)));
  assert.deepEqual(await readRange(engine, 'f', 0, 999), Buffer.from(stored));
});

test('every failure of a chunk gives its segments back', async (t) => {
  const { run, tap } = await rig(t, { bufferBytes: 8 * MIB });
  const { engine } = run;
  const bytes = content(0, 3 * MIB);
  await send(engine, 'stored', 0, bytes);
  await refused(send(engine, 'f', 0, bytes, { crc32: 1 }), 'checksum_mismatch');
  await refused(send(engine, 'stored', 0, content(0, 3 * MIB, 1)), 'chunk_conflict');
  tap.fail('part.write', new LadingError('insufficient_storage', 'no room'));
  await refused(send(engine, 'f', 0, bytes), 'insufficient_storage');
  // Not larger than a segment: a larger chunk syncs early, and the failure would hit that sync instead of the commit.
  tap.fail('part.sync', new LadingError('insufficient_storage', 'no room'));
  await refused(send(engine, 'f', 0, content(0, LARGE_SEGMENT_BYTES)), 'insufficient_storage');
  for (const sent of [0, 1, SMALL_SEGMENT_BYTES, 2 * MIB, 3 * MIB - 1]) {
    const broken = sendSlowly(engine, 'f', 0, bytes);
    broken.push(sent);
    await broken.taken();
    broken.sever();
    await refused(broken.reply, 'length_mismatch');
    const short = sendSlowly(engine, 'f', 0, bytes);
    short.push(sent);
    short.end();
    await refused(short.reply, 'length_mismatch');
  }
  assert.deepEqual(inUse(run), NONE);
  assert.equal(engine.gauges().receiving, 0);
  assert.equal((await send(engine, 'f', 0, bytes)).bytes_received, bytes.length);
});

/** Bytes of these requests in the server's memory: read from the socket and not passed to a worker. */
function held(senders: SlowSend[], sent: number, tap: Tap): number {
  const onTheWire = senders.reduce((sum, { source }) => sum + source.readableLength + source.writableLength, 0);
  return sent - onTheWire - tap.jobs.reduce((sum, job) => sum + job.length, 0);
}

test('10,000 slow senders stay within the buffer memory and take no segment from a fast one', async (t) => {
  const { run, tap } = await rig(t, { bufferBytes: 64 * MIB, maxFileBytes: 2 ** 40 });
  const { engine } = run;
  const each = 2000;
  const bytes = content(0, each + 1);
  const senders = Array.from({ length: 10_000 }, (_, i) => sendSlowly(engine, 'crowd', i * MIB, bytes));
  await turnsUntil(
    () => engine.gauges().receiving === senders.length && senders.every((one) => one.source.readableLength === 0),
  );
  for (const sender of senders) sender.push(1600);
  await turnsUntil(() => senders.every((one) => one.source.readableLength === 0));
  assert.ok(held(senders, senders.length * 1600, tap) <= 16 * MIB);
  assert.deepEqual(inUse(run), NONE);
  const before = tap.jobs.length;
  const fast = content(0, 4 * LARGE_SEGMENT_BYTES);
  assert.equal((await send(engine, 'fast', 0, fast, { declaredSize: fast.length })).status, 'complete');
  const lengths = tap.jobs.slice(before).map((job) => job.length);
  assert.deepEqual(
    lengths,
    [1, 2, 3, 4].map(() => LARGE_SEGMENT_BYTES),
  );
  for (const sender of senders) sender.sever();
  await Promise.allSettled(senders.map(({ reply }) => reply));
  assert.equal(engine.gauges().receiving, 0);
  assert.equal((await engine.status(OWNER, 'crowd')).status, 'pending');
});

test('the limit of early senders falls when many more connect', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { run, tap } = await rig(t, { bufferBytes: 8 * MIB, maxFileBytes: 2 ** 40 });
  const { engine } = run;
  const quarter = 2 * MIB;
  // The files of the upload are open once one segment is written. Before that, a sender's reader waits for the disk instead of its bytes.
  const opener = sendSlowly(engine, 'crowd', 600 * MIB, content(600 * MIB, 2 * SMALL_SEGMENT_BYTES));
  opener.push(SMALL_SEGMENT_BYTES);
  await turnsUntil(() => tap.jobs.length === 1, 'the first segment');
  const senders: SlowSend[] = [opener];
  let sent = SMALL_SEGMENT_BYTES;
  while (senders.length < 501) {
    const start = senders.length * MIB;
    const sender = sendSlowly(engine, 'crowd', start, content(start, SMALL_SEGMENT_BYTES));
    senders.push(sender);
    await sender.taken();
    // The most that this request may hold now, with its header, without a job for a worker.
    const share = Math.min(SMALL_SEGMENT_BYTES, Math.floor(quarter / senders.length));
    const most = share - 1 - CHUNK_HEADER_BYTES;
    sender.push(most);
    await sender.taken();
    sent += most;
  }
  assert.ok(held(senders, sent, tap) > 2 * quarter, 'each holds as much as the limit was at its arrival');
  // Two checks: on a busy machine the first one is late and does nothing.
  t.mock.timers.tick(1000);
  await turnsUntil(() => held(senders, sent, tap) <= quarter, 'the fair share');
  for (const [i, sender] of senders.entries()) if (i !== 1) sender.sever();
  senders[1]?.push();
  senders[1]?.end();
  assert.equal((await senders[1]?.reply)?.bytes_received, SMALL_SEGMENT_BYTES, 'no byte was lost');
  await Promise.allSettled(senders.map(({ reply }) => reply));
});

test('a paused sender resumes when the others have ended', async (t) => {
  const { run } = await rig(t, { bufferBytes: 8 * MIB, maxFileBytes: 2 ** 40 });
  const { engine } = run;
  const first = sendSlowly(engine, 'f', 0, content(0, 1000));
  first.push(500);
  const crowd = Array.from({ length: 400 }, (_, i) => sendSlowly(engine, 'crowd', i * MIB, content(0, 10)));
  await turnsUntil(() => engine.gauges().receiving === 401);
  // It waits for the range of the first one, paused at the limit for many requests.
  const bytes = content(0, 100_000);
  const second = sendSlowly(engine, 'f', 0, bytes);
  second.push();
  second.end();
  await turnsUntil(() => second.source.isPaused());
  for (const sender of crowd) sender.sever();
  await Promise.allSettled(crowd.map(({ reply }) => reply));
  first.push();
  first.end();
  await first.reply;
  assert.equal((await second.reply).bytes_received, 100_000);
});
