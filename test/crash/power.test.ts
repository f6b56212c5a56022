/**
 * An engine on a disk that loses power. While several devices send, the test pauses every operation at random moments and keeps what
 * the disk would hold after a loss of power at that moment, together with what was acknowledged by then. Afterwards it starts an
 * engine on each copy, which must have every acknowledged byte and no wrong one, and must be able to continue.
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

/** Runs the operations of a disk and of worker threads, and can pause all of them. */
class Pauser {
  readonly #running = new Set<Promise<unknown>>();
  #paused: Promise<void> | null = null;
  #moment: (() => Promise<void>) | null = null;
  #remaining = 0;

  /** Runs `moment` while everything else is paused, after `operations` more operations. */
  after(operations: number, moment: () => Promise<void>): void {
    this.#remaining = operations;
    this.#moment = moment;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#remaining -= 1;
    if (this.#moment && this.#remaining < 0 && !this.#paused) {
      const moment = this.#moment;
      this.#moment = null;
      this.#paused = Promise.allSettled(this.#running)
        .then(moment)
        .finally(() => {
          this.#paused = null;
        });
    }
    while (this.#paused) await this.#paused;
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

async function existed(removal: Promise<unknown>): Promise<boolean> {
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
    remove: (name) => existed(engine().remove(OWNER, name)),
    cancel: (name) => existed(engine().cancel(OWNER, name)),
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
  /** The number of the loss, and whether the disk kept more than was synced. */
  label: string;
}

/** The next sweep parks every idle upload. */
const PARK_AT_ONCE = { staleSeconds: 0 };
/** Whether each of the files that are sent at the same time declares its size. */
const DECLARED = [true, true, true, false, false];

async function crashes(t: TestContext, durability: Durability, losses: number): Promise<Loss[]> {
  const random = seeded(t);
  const folder = await mkdtemp(join(fastFolder(), 'lading-power-'));
  const dataDir = await mkdtemp(join(folder, 'data-'));
  const power = await PowerLossDisk.over(dataDir);
  const pauser = new Pauser();
  const threads = pauser.threads(testThreads());
  const run = await startEngine(t, { durability, ...PARK_AT_ONCE }, { dataDir, disk: pauser.disk(power), threads });
  t.after(() => rm(folder, { recursive: true, force: true }));
  const cargos = DECLARED.map((declared, i) => new Cargo(`f${i}`, declared, random.fork()));
  const kept: Loss[] = [];
  const lose = async (): Promise<void> => {
    const generous = random.once(3);
    const into = join(folder, `loss-${kept.length}`);
    await power.crash(into, generous ? random.unit : null);
    const label = `loss ${kept.length} of durability ${durability}${generous ? ', with more than was synced' : ''}`;
    kept.push({ dataDir: into, cargos: cargos.map((cargo) => cargo.copy(random.fork())), label });
    if (kept.length < losses) pauser.after(random.int(0, 60), lose);
  };
  pauser.after(random.int(0, 60), lose);
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

/** Deletes the lock. After a real loss of power it would name an earlier boot; here it names this process, which is alive. */
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
    // The journal of a complete file still covers every byte of it.
    const verified = { ok: true, checked_bytes: cargo.now.size, bad: [] };
    assert.deepEqual(await run.engine.verify(OWNER, cargo.name), verified, cargo.name);
  }
  assert.deepEqual(run.warnings, []);
  assert.equal((await run.deps.blobs.list()).length, loss.cargos.length, 'no leftovers');
  await run.close();
  await rm(loss.dataDir, { recursive: true, force: true });
}

for (const durability of ['chunk', 'seal'] as const) {
  const promise = durability === 'chunk' ? 'every acknowledged chunk' : 'every complete file, and no unverified byte,';
  test(`durability ${durability}: ${promise} survives a loss of power at any moment`, async (t) => {
    for (const loss of await crashes(t, durability, 30)) {
      await examine(t, durability, loss).catch((error: unknown) => {
        if (error instanceof Error) error.message = `${loss.label}: ${error.message}`;
        throw error;
      });
    }
  });
}

test('after durability changes from seal to chunk, unsynced chunks are synced before they are acknowledged again', async (t) => {
  const folder = await mkdtemp(join(fastFolder(), 'lading-power-'));
  const dataDir = await mkdtemp(join(folder, 'data-'));
  const power = await PowerLossDisk.over(dataDir);
  const run = await startEngine(t, { durability: 'seal' }, { dataDir, disk: power });
  const sending = { declaredSize: 200, overwrite: false };
  const remote = remoteTo(() => run.engine);
  await remote.send('f', 0, content(0, 100), sending);
  await run.crash(undefined, { durability: 'chunk' });
  assert.equal((await remote.send('f', 0, content(0, 50), sending)).chunk?.duplicate, true);
  const loss = join(folder, 'loss');
  await power.crash(loss);
  await unlock(loss);
  const next = await startEngine(t, { durability: 'chunk' }, { dataDir: loss });
  // This hook runs after those that close the engines.
  t.after(() => rm(folder, { recursive: true, force: true }));
  assert.deepEqual((await next.engine.status(OWNER, 'f')).missing, [[100, 199]]);
});
