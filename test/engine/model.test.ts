/**
 * Compares the engine with a simple model: for chunks of any order, size and overlap, repeated, corrupt, broken or concurrent, with restarts
 * in between, it stores the bytes of the model or refuses with the documented error.
 */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { LadingError } from '../../src/errors.ts';
import { sum256 } from '../../src/protocol/chunk.ts';
import { crc32, hex32 } from '../../src/protocol/crc32.ts';
import { clockOf } from '../support/product/clock.ts';
import { type EngineUnderTest, startEngine } from '../support/product/engine.ts';
import { type ChunkToSend, readBack, sendChunk } from '../support/wire/chunks.ts';
import { type Fault, Model, type Send } from './model-file.ts';

const OWNER = 'device';
const MAX_BYTES = 400;
const DAY_MS = 24 * 3600 * 1000;

type Step =
  | Send
  | { kind: 'together'; sends: Send[] }
  | { kind: 'put'; length: number }
  | { kind: 'complete' | 'delete' | 'cancel' | 'silence' | 'restart' | 'crash' | 'sweep' };

/** The true content of the file; a chunk with the fault `bytes` carries other bytes than these. */
function truth(start: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((start + i) * 31 + 7) & 0xff);
}

function chunkOf(name: string, send: Send): { chunk: ChunkToSend; bytes: Uint8Array } {
  const bytes = truth(send.start, send.length);
  if (send.fault === 'bytes') bytes[0] = (bytes[0] ?? 0) ^ 0x55;
  const checksum = send.fault === 'checksum' ? (sum256(bytes) + 1) & 0xff : sum256(bytes);
  const chunk: ChunkToSend = {
    owner: OWNER,
    name,
    start: send.start,
    bytes,
    checksum,
    crc32: send.fault === 'crc' ? crc32(bytes) ^ 1 : crc32(bytes),
    declaredSize: send.declare,
    cut: send.fault === 'short' || send.fault === 'broken' ? 1 : 0,
    extra: send.fault === 'long' ? 1 : 0,
    breaks: send.fault === 'broken',
  };
  return { chunk, bytes };
}

export const send = fc.record({
  kind: fc.constant('send' as const),
  start: fc.nat({ max: MAX_BYTES - 1 }),
  length: fc.integer({ min: 1, max: 120 }),
  fault: fc.oneof(
    { weight: 8, arbitrary: fc.constant('none' as const) },
    { weight: 3, arbitrary: fc.constantFrom<Fault>('checksum', 'crc', 'bytes', 'short', 'long', 'broken') },
  ),
  declare: fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(MAX_BYTES, MAX_BYTES + 120, 50) },
  ),
});
const plain = send.map((one) => ({ ...one, fault: 'none' as const, declare: null }));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: send },
  {
    weight: 4,
    arbitrary: fc.array(plain, { minLength: 2, maxLength: 6 }).map((sends) => ({ kind: 'together' as const, sends })),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom({ kind: 'restart' as const }, { kind: 'crash' as const }, { kind: 'sweep' as const }),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      { kind: 'complete' as const },
      { kind: 'delete' as const },
      { kind: 'cancel' as const },
      { kind: 'silence' as const },
      { kind: 'silence' as const },
    ),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('put' as const), length: fc.integer({ min: 1, max: 150 }) }) },
);

async function apply({ run, name }: Device, model: Model, sends: Send[]): Promise<void> {
  const results = await Promise.all(sends.map((one) => sendChunk(run.engine, chunkOf(name, one).chunk)));
  // Chunks sent together may be taken in any order; their bytes agree, so only the sealing of a whole file orders them.
  for (const [i, one] of sends.entries()) {
    const { bytes } = chunkOf(name, one);
    const expected = model.refusal(one, bytes);
    const result = results[i];
    assert.equal(result?.code ?? null, expected, `${JSON.stringify(one)} of ${JSON.stringify(sends)}`);
    if (expected === null) {
      assert.equal(result?.status?.chunk?.crc32, hex32(crc32(bytes)));
      if (!model.sealed) model.store(one, bytes);
    }
  }
}

async function compare({ run, name }: Device, model: Model): Promise<void> {
  const status = await run.engine.status(OWNER, name);
  const { complete } = model;
  assert.equal(status.stale === true, model.parked, 'parked');
  assert.equal(status.status, complete ? 'complete' : model.visible ? 'partial' : 'pending');
  assert.equal(status.bytes_received, model.received);
  const stored = await readBack(run.engine, OWNER, name, Math.max(model.end, 1));
  // If the upload has a gap, readers get the previous complete file.
  const kept = !complete && model.kept !== null;
  assert.deepEqual(stored, kept ? model.cells.slice(0, model.kept ?? 0) : model.cells);
  if (complete) assert.equal(status.crc32, hex32(crc32(Uint8Array.from(model.cells, (cell) => cell ?? 0))));
}

/** Each run has its own name, so that all of them share one engine and its starts. */
interface Device {
  run: EngineUnderTest;
  name: string;
  /** Lets this time pass. */
  pass(ms: number): void;
}

async function take(device: Device, model: Model, one: Step): Promise<void> {
  const { run, name } = device;
  if (one.kind === 'send') await apply(device, model, [one]);
  else if (one.kind === 'together') await apply(device, model, one.sends);
  else if (one.kind === 'restart') await run.restart();
  else if (one.kind === 'crash') await run.crash();
  else if (one.kind === 'sweep') await run.engine.sweep();
  else if (one.kind === 'silence') {
    device.pass(2 * DAY_MS);
    await run.engine.sweep();
    model.silence();
  } else if (one.kind === 'put') {
    const bytes = truth(0, one.length);
    const whole = { owner: OWNER, name, overwrite: true, contentType: null, reprDigest: null, minSize: 0 };
    await run.engine.receiveFile(Readable.from([Buffer.from(bytes)]), whole, async () => null);
    model.put(bytes);
  } else if (one.kind === 'cancel') {
    const unfinished = model.visible && !model.complete;
    assert.equal(await codeOf(run.engine.cancel(OWNER, name)), unfinished ? null : 'not_found');
    if (unfinished) model.cancel();
  } else if (one.kind === 'delete') {
    assert.equal(await codeOf(run.engine.remove(OWNER, name)), model.visible ? null : 'not_found');
    model.reset();
  } else {
    const code = await codeOf(run.engine.complete(OWNER, name));
    const whole = model.sealed || (model.size === null && model.gapless);
    assert.equal(code, !model.visible ? 'not_found' : whole ? null : 'not_contiguous');
    if (code === null) {
      model.sealed = true;
      model.silent = false;
      model.kept = null;
    }
  }
  await compare(device, model);
}

async function codeOf(request: Promise<unknown>): Promise<string | null> {
  try {
    await request;
    return null;
  } catch (error) {
    if (error instanceof LadingError) return error.code;
    throw error;
  }
}

for (const durability of ['chunk', 'seal'] as const) {
  test(`durability ${durability}: chunks in any order yield the bytes of the model or a documented error`, async (t) => {
    let passed = 0;
    const clock = clockOf(() => Date.now() + passed);
    const run = await startEngine(t, { durability, openEndedSeconds: 3600, staleRemoveDays: 0 }, { clock });
    const pass = (ms: number): void => {
      passed += ms;
    };
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
        runs += 1;
        const device: Device = { run, name: `some/file-${runs}.bin`, pass };
        const model = new Model();
        for (const one of steps) await take(device, model, one);
        if (model.visible) await run.engine.remove(OWNER, device.name);
      }),
      { numRuns: 100 },
    );
  });
}
