/** Truncated and damaged journals, tested with a whole engine: lost chunks are reported as missing. */
import assert from 'node:assert/strict';
import { open, stat, truncate } from 'node:fs/promises';
import { test } from 'node:test';
import { Layout } from '../../src/storage/disk/directory/layout.ts';
import { content, download, OWNER, readRange, send } from '../support/product/device.ts';
import { startEngine } from '../support/product/engine.ts';
import { type Random, seeded } from '../support/random.ts';

/** Truncates the file at a random byte, or changes a random run of bytes. */
async function damage(path: string, random: Random): Promise<void> {
  const { size } = await stat(path);
  if (random.once(2)) return truncate(path, random.int(0, size));
  const file = await open(path, 'r+');
  try {
    const noise = Uint8Array.from({ length: random.int(1, 100) }, () => random.int(0, 255));
    await file.write(noise, 0, noise.length, random.int(0, Math.max(0, Math.min(size, 2000) - noise.length)));
  } finally {
    await file.close();
  }
}

for (const durability of ['chunk', 'seal'] as const) {
  test(`durability ${durability}: an engine starts with a truncated or damaged journal, and the upload can be completed`, async (t) => {
    const random = seeded(t);
    const run = await startEngine(t, { durability });
    const size = 10_000;
    for (let round = 0; round < 25; round += 1) {
      const name = `f${round}`;
      let id = '';
      for (let chunks = random.int(1, 40); chunks > 0; chunks -= 1) {
        const start = random.int(0, size - 2);
        const length = random.int(1, Math.min(500, size - 1 - start));
        id = (await send(run.engine, name, start, content(start, length, round), { declaredSize: size })).id ?? '';
      }
      await run.crash(() => damage(new Layout(run.dataDir).file(id).manifest, random));
      const { missing, id: sameId } = await run.engine.status(OWNER, name);
      assert.equal(sameId, id, name);
      let position = 0;
      for (const [start, end] of missing) {
        // Stored bytes are correct, and missing bytes cannot be read.
        const stored = start > position ? await readRange(run.engine, name, position, start - 1) : Buffer.alloc(0);
        assert.deepEqual(stored, Buffer.from(content(position, start - position, round)), name);
        assert.equal(await readRange(run.engine, name, start, start), null, name);
        position = end + 1;
      }
      for (const [start, end] of missing) {
        await send(run.engine, name, start, content(start, end - start + 1, round));
      }
      assert.deepEqual(await download(run.engine, name), Buffer.from(content(0, size, round)), name);
      await run.engine.remove(OWNER, name);
    }
    assert.deepEqual(run.warnings, []);
  });
}
