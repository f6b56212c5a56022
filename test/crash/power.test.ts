/**
 * The whole engine over a disk that loses power. While several devices send, now and then everything stands still, and what the
 * disk would hold after a loss of power at that moment is kept, together with what had been acknowledged by then. Afterwards an
 * engine is started on each of these, and must have everything that was promised, nothing wrong, and be able to go on.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { Engine } from '../../src/engine/engine.ts';
import type { Durability } from '../../src/engine/uploads/commit.ts';
import { LadingError } from '../../src/errors.ts';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { crc32 } from '../../src/protocol/crc32.ts';
import type { Disk } from '../../src/storage/disk/io/disk.ts';
import type { Threads } from '../../src/storage/disk/pool.ts';
import { PowerLossDisk } from '../support/disk/power-loss-disk.ts';
import { content, intent, OWNER } from '../support/product/device.ts';
import { fastFolder, startEngine, testThreads } from '../support/product/engine.ts';
import { seeded } from '../support/random.ts';
import { through } from '../support/wire/through.ts';
import { Cargo } from './cargo.ts';
import type { Remote } from './remote.ts';

/** Everything asked of a disk and of threads, which can be made to stand still. */
class Stillness {
  readonly #running = new Set<Promise<unknown>>();
  #still: Promise<void> | null = null;
  #moment: (() => Promise<void>) | null = null;
  #in = 0;

  /** Has `moment` run, with everything else standing still, before the operation that comes `operations` after the next. */
  after(operations: number, moment: () => Promise<void>): void {
    this.#in = operations;
    this.#moment = moment;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#in -= 1;
    if (this.#moment && this.#in < 0 && !this.#still) {
      const moment = this.#moment;
      this.#moment = null;
      this.#still = Promise.allSettled(this.#running)
        .then(moment)
        .finally(() => {
          this.#still = null;
        });
    }
    while (this.#still) await this.#still;
    const job = work();
    this.#running.add(job);
    try {
      return await job;
    } finally {
      this.#running.delete(job);
    }
  }

  disk(disk: Disk): Disk {
    return through(disk, (_, __, work) => this.run(work));
  }

  threads(threads: Threads): Threads {
    return {
      segment: (task) => this.run(() => threads.segment(task)),
      inspect: (task) => this.run(() => threads.inspect(task)),
      close: () => threads.close(),
    };
  }
}

async function found(removal: Promise<unknown>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (error instanceof LadingError && error.code === 'not_found') return false;
    throw error;
  }
}

function remoteTo(engine: () => Engine): Remote {
  return {
    send: (name, start, bytes, sending) => {
      const source = Readable.from([Buffer.from(encodeChunk(start, bytes))]);
      return engine().receiveChunk(source, intent(name, { ...sending, crc32: crc32(bytes) }));
    },
    status: (name) => engine().status(OWNER, name),
    complete: (name) => engine().complete(OWNER, name),
    remove: (name) => found(engine().remove(OWNER, name)),
    cancel: (name) => found(engine().cancel(OWNER, name)),
    put: (name, bytes) => {
      const whole = { owner: OWNER, name, overwrite: true, contentType: null, reprDigest: null, minSize: 0 };
      return engine().receiveFile(Readable.from([Buffer.from(bytes)]), whole, async () => null);
    },
    sweep: async () => void (await engine().sweep()),
    read: async (name, start, end) => {
      const file = await engine().open(OWNER, name);
      try {
        if (!file.covers({ start, end })) return null;
        const bytes = Buffer.alloc(end - start + 1);
        assert.equal(await file.reader.read(bytes, start), bytes.length);
        return bytes;
      } finally {
        file.release();
      }
    },
  };
}

interface Loss {
  dataDir: string;
  cargos: Cargo[];
  /** Which loss of the run, and whether the disk kept more than it had promised. */
  label: string;
}

/** Whatever nobody sends to is parked with the next sweep. */
const HASTY = { staleSeconds: 0 };
const CONCURRENT = [true, true, true, false, false];

async function crashes(t: TestContext, durability: Durability, losses: number): Promise<Loss[]> {
  const random = seeded(t);
  const place = await mkdtemp(join(fastFolder(), 'lading-power-'));
  const dataDir = await mkdtemp(join(place, 'data-'));
  const power = await PowerLossDisk.over(dataDir);
  const still = new Stillness();
  const threads = still.threads(testThreads());
  const run = await startEngine(t, { durability, ...HASTY }, { dataDir, disk: still.disk(power), threads });
  t.after(() => rm(place, { recursive: true, force: true }));
  const cargos = CONCURRENT.map((declared, i) => new Cargo(`f${i}`, declared, random.fork()));
  const kept: Loss[] = [];
  const lose = async (): Promise<void> => {
    const generous = random.once(3);
    const into = join(place, `loss-${kept.length}`);
    await power.crash(into, generous ? random.unit : null);
    const label = `loss ${kept.length} of durability ${durability}${generous ? ', with more than was synced' : ''}`;
    kept.push({ dataDir: into, cargos: cargos.map((cargo) => cargo.copy(random.fork())), label });
    if (kept.length < losses) still.after(random.int(0, 60), lose);
  };
  still.after(random.int(0, 60), lose);
  const remote = remoteTo(() => run.engine);
  await Promise.all(
    cargos.map(async (cargo) => {
      while (kept.length < losses) await cargo.step(remote);
    }),
  );
  await run.close();
  await power.dispose();
  return kept;
}

/** The lock of a process that lost power names one of an earlier boot; here it would name this very process, which lives. */
async function unlock(dataDir: string): Promise<void> {
  for (const name of await readdir(join(dataDir, 'v1')).catch(() => [])) {
    if (name.startsWith('lock')) await rm(join(dataDir, 'v1', name));
  }
}

async function examine(t: TestContext, durability: Durability, loss: Loss): Promise<void> {
  await unlock(loss.dataDir);
  const run = await startEngine(t, { durability }, { dataDir: loss.dataDir });
  const remote = remoteTo(() => run.engine);
  for (const cargo of loss.cargos) {
    await cargo.inspect(remote, durability === 'chunk');
    await cargo.finish(remote);
    // The journal stays beside the complete file and vouches for every byte of it.
    const verified = { ok: true, checked_bytes: cargo.now.size, bad: [] };
    assert.deepEqual(await run.engine.verify(OWNER, cargo.name), verified, cargo.name);
  }
  assert.deepEqual(run.warnings, []);
  assert.equal((await run.deps.blobs.list()).length, loss.cargos.length, 'nothing is left over');
  await run.close();
  await rm(loss.dataDir, { recursive: true, force: true });
}

for (const durability of ['chunk', 'seal'] as const) {
  const promise = durability === 'chunk' ? 'every acknowledged chunk' : 'every complete file, and nothing unverified,';
  test(`durability ${durability}: ${promise} is there after a loss of power at any moment`, async (t) => {
    for (const loss of await crashes(t, durability, 30)) {
      await examine(t, durability, loss).catch((error: unknown) => {
        if (error instanceof Error) error.message = `${loss.label}: ${error.message}`;
        throw error;
      });
    }
  });
}

test('what a server with durability seal left is synced before one with durability chunk acknowledges it again', async (t) => {
  const place = await mkdtemp(join(fastFolder(), 'lading-power-'));
  const dataDir = await mkdtemp(join(place, 'data-'));
  const power = await PowerLossDisk.over(dataDir);
  const run = await startEngine(t, { durability: 'seal' }, { dataDir, disk: power });
  const sending = { declaredSize: 200, overwrite: false };
  const remote = remoteTo(() => run.engine);
  await remote.send('f', 0, content(0, 100), sending);
  await run.crash(undefined, { durability: 'chunk' });
  assert.equal((await remote.send('f', 0, content(0, 50), sending)).chunk?.duplicate, true);
  const loss = join(place, 'loss');
  await power.crash(loss);
  await unlock(loss);
  const next = await startEngine(t, { durability: 'chunk' }, { dataDir: loss });
  // Hooks run in this order, so the engines are closed by then.
  t.after(() => rm(place, { recursive: true, force: true }));
  assert.deepEqual((await next.engine.status(OWNER, 'f')).missing, [[100, 199]]);
});
