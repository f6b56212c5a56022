/** The counted use of every owner equals a recount. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CONFIRM_MS } from '../../../src/clock/clock.ts';
import type { Quota, UsageTotals } from '../../../src/contracts/quota.ts';
import { LadingError } from '../../../src/errors.ts';
import { sum256 } from '../../../src/protocol/chunk.ts';
import { handClock, machine, STEPS } from '../../support/product/clock.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { type ChunkToSend, intentOf, sendChunk } from '../../support/wire/chunks.ts';
import { Tap } from '../../support/wire/tap.ts';

const OWNERS = ['a/1', 'a/2', 'b/1'];
const NAMES = ['x', 'y'];
const HOUR = 3_600_000;

/** The name before the slash is the group of an owner. Limits apply to an owner and to a group. */
function quotaOf(own: Partial<UsageTotals>, group: Partial<UsageTotals> = {}): Quota {
  return {
    groupOf: (owner) => owner.slice(0, 1),
    admit(_owner, now, more) {
      for (const key of ['bytes', 'openUploads', 'dayBytes'] as const) {
        const added = more[key] ?? 0;
        if (added === 0) continue;
        const over = now.own[key] + added > (own[key] ?? Infinity) || now.group[key] + added > (group[key] ?? Infinity);
        if (over) throw new LadingError('quota_exceeded', 'Too much.');
      }
    },
  };
}

interface Send {
  owner: string;
  name: string;
  start: number;
  length: number;
  declare: number | null;
  overwrite: boolean;
  cut: boolean;
}
type Step =
  | { kind: 'send'; sends: Send[] }
  | { kind: 'delete' | 'complete'; owner: string; name: string }
  | { kind: 'race'; sends: Send[]; owner: string; name: string }
  | { kind: 'restart' | 'crash' | 'sweep' }
  | { kind: 'wait'; hours: number };

const place = { owner: fc.constantFrom(...OWNERS), name: fc.constantFrom(...NAMES) };
const send: fc.Arbitrary<Send> = fc.record({
  ...place,
  start: fc.nat({ max: 150 }),
  length: fc.integer({ min: 1, max: 100 }),
  declare: fc.constantFrom(null, null, 100, 250),
  overwrite: fc.constantFrom(false, false, true),
  cut: fc.constantFrom(false, false, false, true),
});
const sends = fc.array(send, { minLength: 1, maxLength: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: sends.map((all): Step => ({ kind: 'send', sends: all })) },
  {
    weight: 2,
    arbitrary: fc.record({ ...place, kind: fc.constantFrom<'delete' | 'complete'>('delete', 'complete') }),
  },
  { weight: 2, arbitrary: fc.record({ ...place, kind: fc.constant('race' as const), sends }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom<'restart' | 'crash' | 'sweep'>('restart', 'crash', 'sweep') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), hours: fc.integer({ min: 1, max: 30 }) }) },
);

/** An overwrite needs a size and different content, so the file has one byte. */
function chunkOf({ owner, name, start, length, declare, overwrite, cut }: Send): ChunkToSend {
  const bytes = new Uint8Array(length).fill(7);
  const declaredSize = overwrite ? (declare ?? 100) : declare;
  return { owner, name, start, bytes, checksum: sum256(bytes), declaredSize, overwrite, cut: cut ? 1 : 0 };
}

async function take(run: EngineUnderTest, clock: { time: number }, one: Step): Promise<void> {
  const { engine } = run;
  const ignore = (error: unknown): void => assert.ok(error instanceof LadingError, String(error));
  if (one.kind === 'send') await Promise.all(one.sends.map((each) => sendChunk(engine, chunkOf(each))));
  else if (one.kind === 'delete') await engine.remove(one.owner, one.name).catch(ignore);
  else if (one.kind === 'complete') await engine.complete(one.owner, one.name).catch(ignore);
  else if (one.kind === 'race') {
    const removals = [1, 2].map(() => engine.remove(one.owner, one.name).catch(ignore));
    await Promise.all([...one.sends.map((each) => sendChunk(engine, chunkOf(each))), ...removals]);
  } else if (one.kind === 'wait') clock.time += one.hours * HOUR;
  else if (one.kind === 'sweep') await engine.sweep();
  else if (one.kind === 'restart') await run.restart();
  else await run.crash();
}

/** Counts again from the catalog and the journals. */
async function recount({ engine, deps }: EngineUnderTest, owner: string): Promise<Omit<UsageTotals, 'dayBytes'>> {
  let bytes = 0;
  let openUploads = 0;
  for (const name of NAMES) {
    const { sealed, open } = await deps.catalog.find(owner, name);
    bytes += sealed?.size ?? 0;
    if (!open) continue;
    if (open.staleAt === undefined) openUploads += 1;
    bytes += (await engine.status(owner, name)).bytes_received;
  }
  return { bytes, openUploads };
}

/** The bytes of today in the journals. */
async function receivedToday({ deps }: EngineUnderTest, owner: string, now: number): Promise<number> {
  let bytes = 0;
  for (const name of NAMES) {
    const slot = await deps.catalog.find(owner, name);
    for (const document of [slot.sealed, slot.open]) {
      if (!document) continue;
      for (const { start, end, time } of await deps.manifests.read(document.id)) {
        if (Math.floor(time / 24 / HOUR) === Math.floor(now / 24 / HOUR)) bytes += end - start + 1;
      }
    }
  }
  return bytes;
}

test('every counter equals a recount after any sequence of operations and after a restart', async (t) => {
  const clock = handClock(Date.UTC(2026, 10, 22, 12));
  const settings = { staleSeconds: 36_000, openEndedSeconds: 7_200 };
  const run = await startEngine(t, settings, { clock, quota: quotaOf({}) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      for (const one of [...steps, { kind: 'restart' as const }]) {
        await take(run, clock, one);
        const all: Omit<UsageTotals, 'dayBytes'>[] = [];
        for (const owner of OWNERS) {
          const { dayBytes, ...counted } = run.engine.usage(owner);
          const found = await recount(run, owner);
          assert.deepEqual(counted, found, `${owner} after ${JSON.stringify(one)}`);
          const today = await receivedToday(run, owner, clock.time);
          if (one.kind === 'restart' || one.kind === 'crash') assert.equal(dayBytes, today);
          else assert.ok(dayBytes >= today);
          all.push(found);
        }
        const [one1, two1] = all;
        assert.ok(one1 && two1);
        const { dayBytes: _, ...group } = run.engine.usage('a/1', true);
        assert.deepEqual(group, {
          bytes: one1.bytes + two1.bytes,
          openUploads: one1.openUploads + two1.openUploads,
        });
      }
      for (const owner of OWNERS) for (const name of NAMES) await run.engine.remove(owner, name).catch(() => {});
      assert.deepEqual(run.engine.usage('a/1', true).bytes, 0);
    }),
    { numRuns: 60 },
  );
});

test('a quota is never exceeded, even by concurrent chunks', async (t) => {
  const own = { bytes: 300, openUploads: 1 };
  const group = { bytes: 400, openUploads: 3 };
  const run = await startEngine(t, {}, { quota: quotaOf(own, group) });
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(sends, { minLength: 1, maxLength: 6 }), async (rounds) => {
      for (const round of rounds) {
        const results = await Promise.all(round.map((one) => sendChunk(run.engine, chunkOf(one))));
        refused += results.filter(({ code }) => code === 'quota_exceeded').length;
        for (const owner of OWNERS) {
          const { bytes, openUploads } = run.engine.usage(owner);
          assert.ok(bytes <= own.bytes && openUploads <= own.openUploads);
          assert.deepEqual({ bytes, openUploads }, await recount(run, owner), 'what was refused left nothing');
        }
        const { bytes, openUploads } = run.engine.usage('a/1', true);
        assert.ok(bytes <= group.bytes && openUploads <= group.openUploads);
      }
      for (const owner of OWNERS) for (const name of NAMES) await run.engine.remove(owner, name).catch(() => {});
    }),
    { numRuns: 60 },
  );
  assert.ok(refused > 50, `${refused} refusals`);
});

test('a declared size over the quota is refused before the body, and stored bytes stay', async (t) => {
  const run = await startEngine(t, {}, { quota: quotaOf({ bytes: 100 }) });
  const { engine } = run;
  const chunk = (name: string, start: number, length: number, declare: number | null) =>
    chunkOf({ owner: 'a/1', name, start, length, declare, overwrite: false, cut: false });
  const code = async (work: Promise<unknown>): Promise<string | null> =>
    work.then(
      () => null,
      (error: unknown) => (error instanceof LadingError ? error.code : String(error)),
    );
  assert.equal(await code(engine.admitChunk(intentOf(chunk('x', 0, 1, 101)))), 'quota_exceeded');
  assert.equal(await code(engine.admitChunk(intentOf(chunk('x', 0, 1, 100)))), null);
  assert.equal((await sendChunk(engine, chunk('x', 0, 10, 101))).code, 'quota_exceeded');
  assert.equal((await sendChunk(engine, chunk('x', 0, 90, null))).code, null);
  assert.equal((await sendChunk(engine, chunk('x', 80, 30, null))).code, 'quota_exceeded', '20 of 30 would be new');
  assert.equal((await sendChunk(engine, chunk('x', 80, 20, null))).code, null);
  assert.equal((await sendChunk(engine, chunk('x', 0, 100, null))).code, null, 'a repeat needs no room');
  assert.equal(engine.usage('a/1').bytes, 100);
  assert.equal((await engine.status('a/1', 'x')).bytes_received, 100);
  await engine.remove('a/1', 'x');
  assert.deepEqual(engine.usage('a/1'), { bytes: 0, openUploads: 0, dayBytes: 100 });
});

test('the bytes of a day count from midnight UTC and include deleted files', async (t) => {
  const clock = handClock(Date.UTC(2026, 10, 22, 23, 59));
  const run = await startEngine(t, {}, { clock, quota: quotaOf({ dayBytes: 100 }) });
  const put = (name: string, length: number) =>
    sendChunk(
      run.engine,
      chunkOf({ owner: 'b/1', name, start: 0, length, declare: length, overwrite: false, cut: false }),
    );
  assert.equal((await put('x', 80)).code, null);
  await run.engine.remove('b/1', 'x');
  assert.equal((await put('x', 21)).code, 'quota_exceeded');
  assert.equal((await put('x', 20)).code, null);
  clock.time += 60_000;
  assert.equal((await put('y', 100)).code, null);
  assert.equal((await put('x2', 1)).code, 'quota_exceeded');
});

for (const by of STEPS) {
  test(`the date is set by ${by / 60_000} minutes and counts: a day's bytes are forgotten by a new day alone`, async (t) => {
    const { clock, pass, step } = machine(Date.UTC(2026, 10, 22, 12));
    const run = await startEngine(t, {}, { clock, quota: quotaOf({ dayBytes: 100 }) });
    const put = async (name: string, length: number) => {
      const chunk = { owner: 'b/1', name, start: 0, length, declare: length, overwrite: false, cut: false };
      return (await sendChunk(run.engine, chunkOf(chunk))).code;
    };
    assert.equal(await put('x', 80), null);
    step(by);
    assert.equal(await put('y', 21), 'quota_exceeded', 'it does not count yet');
    pass(CONFIRM_MS);
    const isNew = clock.now() >= Date.UTC(2026, 10, 23);
    assert.equal(await put('y', 21), isNew ? null : 'quota_exceeded');
    assert.equal(await put('z', 20), null);
    pass(86_400_000);
    assert.equal(await put('next', 100), null);
  });
}

test('a chunk whose upload is deleted while it is committed is not counted', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap, quota: quotaOf({}) });
  const chunk = (start: number) =>
    chunkOf({ owner: 'a/1', name: 'x', start, length: 10, declare: null, overwrite: false, cut: false });
  await sendChunk(run.engine, chunk(0));
  const gate = tap.hold('manifest.append', 'after');
  const second = sendChunk(run.engine, chunk(20));
  await gate.reached;
  const removed = run.engine.remove('a/1', 'x');
  await run.quiet();
  assert.deepEqual(run.engine.usage('a/1'), { bytes: 0, openUploads: 0, dayBytes: 10 });
  gate.open();
  await removed;
  await second;
  assert.deepEqual(run.engine.usage('a/1'), { bytes: 0, openUploads: 0, dayBytes: 20 });
});

test('a failed chunk releases its reserved quota', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap, quota: quotaOf({ bytes: 100, openUploads: 1 }) });
  const chunk = (length: number, cut = false) =>
    chunkOf({ owner: 'a/1', name: 'x', start: 0, length, declare: null, overwrite: false, cut });
  assert.equal((await sendChunk(run.engine, chunk(100, true))).code, 'length_mismatch');
  for (const operation of ['blobs.create', 'manifests.create', 'manifest.append', 'catalog.put'] as const) {
    tap.fail(operation, new LadingError('insufficient_storage', 'Full.'));
    assert.equal((await sendChunk(run.engine, chunk(100))).code, 'insufficient_storage', operation);
    assert.deepEqual(
      { ...run.engine.usage('a/1'), dayBytes: 0 },
      { bytes: 0, openUploads: 0, dayBytes: 0 },
      `after a failure of ${operation}`,
    );
  }
  assert.equal((await sendChunk(run.engine, chunk(100))).code, null);
});
