/** How a start recovers the state on the disk. */
import assert from 'node:assert/strict';
import { mkdir, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { forEachConcurrently } from '../../../src/concurrent.ts';
import { Layout } from '../../../src/storage/disk/directory/layout.ts';
import { content, download, OWNER, progress, readRange, refused, send, text } from '../../support/product/device.ts';
import { type EngineUnderTest, startEngine } from '../../support/product/engine.ts';
import { Tap } from '../../support/wire/tap.ts';

/** Changes one byte of a file. */
async function damage(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, position);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, position);
  } finally {
    await file.close();
  }
}

function pathsOf(run: EngineUnderTest, id: string | null): ReturnType<Layout['file']> {
  return new Layout(run.dataDir).file(id ?? '');
}

for (const durability of ['chunk', 'seal'] as const) {
  test(`durability ${durability}: uploads continue after a clean stop and after a crash`, async (t) => {
    const run = await startEngine(t, { durability });
    await send(run.engine, 'f', 10, content(10, 10), { declaredSize: 40 });
    await send(run.engine, 'open', 0, content(0, 10));
    for (const again of [run.restart, run.crash, run.crash]) {
      const before = await run.engine.status(OWNER, 'f');
      await again();
      assert.deepEqual(await run.engine.status(OWNER, 'f'), before);
      assert.deepEqual(run.recovered, { uploads: 2, forgotten: 0, leftovers: 0 });
    }
    await send(run.engine, 'f', 0, content(0, 30));
    await send(run.engine, 'f', 30, content(30, 10));
    assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 40)));
    assert.equal((await send(run.engine, 'open', 10, content(10, 10))).total_bytes, 20);
  });
}

test('durability seal: lost bytes are forgotten and requested again after a crash', async (t) => {
  const run = await startEngine(t, { durability: 'seal' });
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 30 });
  await send(run.engine, 'f', 10, content(10, 10));
  await send(run.engine, 'f', 20, content(20, 5));
  await run.crash(() => damage(pathsOf(run, id).part, 15));
  assert.equal(run.recovered.forgotten, 1);
  assert.deepEqual(progress(await run.engine.status(OWNER, 'f')).missing, [
    [10, 19],
    [25, 29],
  ]);
  assert.equal(await readRange(run.engine, 'f', 15, 15), null, 'what was not verified is not readable');
  await run.crash();
  assert.equal(run.recovered.forgotten, 0, 'the journal forgot it too');
  assert.equal((await send(run.engine, 'f', 10, content(10, 20))).status, 'complete');
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 30)));
});

test('durability seal: the lost end of a part is requested again after a crash', async (t) => {
  const run = await startEngine(t, { durability: 'seal' });
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  await send(run.engine, 'f', 10, content(10, 10).subarray(0, 9));
  await run.crash(() => truncate(pathsOf(run, id).part, 12));
  assert.deepEqual((await run.engine.status(OWNER, 'f')).missing, [[10, 19]]);
});

test('durability seal: the next start does not seal a file with damaged bytes', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, { durability: 'seal' }, { tap });
  const gate = tap.hold('blobs.seal');
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  const last = send(run.engine, 'f', 10, content(10, 10));
  last.catch(() => {});
  await gate.reached;
  const crashed = run.crash(() => damage(pathsOf(run, id).part, 15));
  gate.open();
  await crashed;
  await last.catch(() => {});
  assert.deepEqual(progress(await run.engine.status(OWNER, 'f')), {
    status: 'partial',
    bytes_received: 10,
    total_bytes: 20,
    next_expected_byte: 10,
    missing: [[10, 19]],
    readable: false,
  });
});

test('durability seal: a journal lost with the power means that nothing was received', async (t) => {
  const run = await startEngine(t, { durability: 'seal' });
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  await run.crash(() => rm(pathsOf(run, id).manifest));
  assert.deepEqual((await run.engine.status(OWNER, 'f')).missing, [[0, 19]]);
  assert.deepEqual(run.warnings, []);
  assert.equal((await send(run.engine, 'f', 0, content(0, 20))).status, 'complete');
});

test('durability seal: bytes lost with the power, with or without their journal, are requested again', async (t) => {
  for (const taken of [['part'], ['part', 'manifest']] as const) {
    const run = await startEngine(t, { durability: 'seal' });
    const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 30 });
    const paths = pathsOf(run, id);
    await run.crash(async () => {
      for (const name of taken) await rm(paths[name]);
    });
    assert.deepEqual(run.warnings, []);
    assert.deepEqual(progress(await run.engine.status(OWNER, 'f')).missing, [[0, 29]]);
    assert.equal((await send(run.engine, 'f', 0, content(0, 30))).status, 'complete');
    assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 30)));
  }
});

test('lost bytes that a journal records as synced are not replaced with zeros', async (t) => {
  const run = await startEngine(t, { durability: 'chunk' });
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 30 });
  const { part } = pathsOf(run, id);
  await run.crash(() => rm(part));
  await assert.rejects(readFile(part), { code: 'ENOENT' });
});

test('a start after a clean stop reads no bytes, even of unsynced records', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, { durability: 'seal' }, { tap });
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  tap.reset();
  await run.restart();
  assert.equal(tap.count('inspector.verify'), 0);
  await run.crash();
  assert.equal(tap.count('inspector.verify'), 1);
});

test('durability chunk: a start after a crash reads no synced bytes', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 20 });
  tap.reset();
  await run.crash();
  assert.equal(tap.count('inspector.verify'), 0);
});

test('a start succeeds with a manifest cut at any byte, and requests the missing bytes again', async (t) => {
  const run = await startEngine(t);
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 100 });
  for (let start = 10; start < 60; start += 10) await send(run.engine, 'f', start, content(start, 10));
  const { manifest } = pathsOf(run, id);
  // The header and six records of 40 bytes. The test tries every length, the longest first.
  for (let length = 290; length >= 0; length -= 13) {
    await run.crash(() => truncate(manifest, length));
    const whole = Math.max(0, Math.floor((length - 40) / 40));
    assert.equal((await run.engine.status(OWNER, 'f')).bytes_received, whole * 10, `cut at ${length}`);
    if (whole > 0)
      assert.deepEqual(await readRange(run.engine, 'f', 0, whole * 10 - 1), Buffer.from(content(0, whole * 10)));
    assert.equal(await readRange(run.engine, 'f', whole * 10, whole * 10), null);
  }
  assert.deepEqual(run.warnings, []);
  assert.equal((await send(run.engine, 'f', 0, content(0, 100))).status, 'complete');
  assert.deepEqual(await download(run.engine, 'f'), Buffer.from(content(0, 100)));
});

test('a damaged manifest loses only the chunk of the damaged record', async (t) => {
  const run = await startEngine(t);
  for (let position = 40; position < 160; position += 7) {
    const name = `f${position}`;
    const { id } = await send(run.engine, name, 0, content(0, 10), { declaredSize: 40 });
    await send(run.engine, name, 10, content(10, 10));
    await send(run.engine, name, 20, content(20, 10));
    await run.crash(() => damage(pathsOf(run, id).manifest, position));
    const { missing } = await run.engine.status(OWNER, name);
    const hit = Math.floor((position - 40) / 40) * 10;
    const without =
      hit === 20
        ? [[20, 39]]
        : [
            [hit, hit + 9],
            [30, 39],
          ];
    assert.deepEqual(missing, without, `damaged at ${position}`);
    assert.equal((await send(run.engine, name, 0, content(0, 40))).status, 'complete');
    await run.engine.remove(OWNER, name);
  }
});

test('a start removes blobs without a document and keeps the others', async (t) => {
  const run = await startEngine(t);
  const { id } = await send(run.engine, 'f', 0, text('abc'), { declaredSize: 3 });
  const orphan = 'ab'.repeat(16);
  await run.crash(async () => {
    const { directory, part, manifest } = pathsOf(run, orphan);
    await mkdir(directory, { recursive: true });
    await writeFile(part, 'bytes');
    await writeFile(manifest, 'no journal');
  });
  assert.equal(run.recovered.leftovers, 1);
  assert.deepEqual(await run.deps.blobs.list(), [id]);
});

test('a first chunk that was never acknowledged leaves nothing after a crash', async (t) => {
  const tap = new Tap();
  const run = await startEngine(t, {}, { tap });
  const gate = tap.hold('catalog.put');
  const first = send(run.engine, 'f', 0, text('abc'));
  first.catch(() => {});
  await gate.reached;
  const crashed = run.crash();
  gate.open();
  await crashed;
  await first.catch(() => {});
  assert.equal((await run.engine.status(OWNER, 'f')).status, 'pending');
  assert.deepEqual(await run.deps.blobs.list(), []);
});

test('one upload that cannot be recovered does not prevent the recovery of others', async (t) => {
  const run = await startEngine(t);
  const { id } = await send(run.engine, 'bad', 0, text('abc'));
  await send(run.engine, 'good', 0, text('abc'));
  // An intact header of the journal of another upload, which no damage explains.
  const foreign = await send(run.engine, 'foreign', 0, text('abc'));
  await run.crash(async () => {
    await writeFile(pathsOf(run, id).manifest, await readFile(pathsOf(run, foreign.id).manifest));
  });
  assert.equal(run.recovered.uploads, 2);
  assert.equal(run.warnings.length, 1);
  assert.match(run.warnings[0]?.message ?? '', /could not be recovered/);
  assert.equal((await run.engine.status(OWNER, 'good')).bytes_received, 3);
  assert.ok((await run.deps.blobs.list()).includes(id ?? ''), 'it is left as it is');
});

test('thousands of uploads are recovered, a few at a time', async (t) => {
  const run = await startEngine(t, { durability: 'seal' });
  const names = Array.from({ length: 300 }, (_, i) => `f${i}`);
  await forEachConcurrently(names, 32, async (name) => {
    await send(run.engine, name, 1, text('x'));
  });
  await run.crash();
  assert.equal(run.recovered.uploads, 300);
  assert.equal((await send(run.engine, 'f299', 0, text('y'))).bytes_received, 2);
});

test('verify finds a stored byte that was changed on the disk', async (t) => {
  const run = await startEngine(t);
  const { id } = await send(run.engine, 'f', 0, content(0, 10), { declaredSize: 30 });
  await send(run.engine, 'f', 10, content(10, 10));
  assert.deepEqual(await run.engine.verify(OWNER, 'f'), { ok: true, checked_bytes: 20, bad: [] });
  await damage(pathsOf(run, id).part, 12);
  assert.deepEqual(await run.engine.verify(OWNER, 'f'), { ok: false, checked_bytes: 20, bad: [[10, 19]] });
  await send(run.engine, 'f', 20, content(20, 10));
  assert.deepEqual(await run.engine.verify(OWNER, 'f'), { ok: false, checked_bytes: 30, bad: [[10, 19]] });
  await refused(run.engine.verify(OWNER, 'nobody'), 'not_found');
});
