/** An engine over the real disk storage in a folder of its own, that can be stopped, crashed and started again. */
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { SteadyClock } from '../../../src/clock/clock.ts';
import type { Clock } from '../../../src/contracts/clock.ts';
import type { Quota } from '../../../src/contracts/quota.ts';
import { Engine } from '../../../src/engine/engine.ts';
import type { EngineDeps, EngineSettings } from '../../../src/engine/parts.ts';
import type { Recovered } from '../../../src/engine/upkeep/recover.ts';
import { type Disk, realDisk } from '../../../src/storage/disk/io/disk.ts';
import { startThreads, type Threads } from '../../../src/storage/disk/pool.ts';
import { type DiskStore, openDiskStore } from '../../../src/storage/disk/store.ts';
import { openLowdbCatalog } from '../../../src/storage/lowdb/catalog.ts';
import { type CutDisk, cuttable } from '../disk/cut-disk.ts';
import { Tap } from '../wire/tap.ts';

const MIB = 1024 ** 2;

export const DEFAULTS: EngineSettings = {
  durability: 'chunk',
  bufferBytes: 16 * MIB,
  maxChunkBytes: 64 * MIB,
  maxFileBytes: 1024 * MIB,
  staleSeconds: 86_400,
  openEndedSeconds: 900,
  idleSeconds: 120,
  minBytesPerSecond: 1,
};

/** What a test puts in place of the usual. */
export interface Rigging {
  clock?: Clock;
  disk?: Disk;
  /** Whose owner closes them. */
  threads?: Threads;
  quota?: Quota;
  /** In an existing folder, which is then left alone. */
  dataDir?: string;
  /** Sits on the doors, of every start; default one of its own. */
  tap?: Tap;
}

export interface EngineUnderTest {
  /** The one that runs now. */
  readonly engine: Engine;
  /** Its doors, without the tap. */
  readonly doors: EngineDeps;
  /** What its start found. */
  readonly recovered: Recovered;
  readonly dataDir: string;
  /** What went to the log, of all engines so far. */
  readonly warnings: { message: string; details: object }[];
  /** A clean stop and a start on the same directory, with other settings if given. */
  restart(settings?: Partial<EngineSettings>): Promise<void>;
  /** The process dies as it stands, then a start on what is on the disk. `between` runs while nothing runs. */
  crash(between?: () => Promise<void>, settings?: Partial<EngineSettings>): Promise<void>;
  /** A clean stop for good. */
  close(): Promise<void>;
  /** Resolves when the engine has done all it can for now: whatever it waits for is outside. */
  quiet(): Promise<void>;
}

/** In memory where the system has such a place: these tests sync thousands of times, and none of them cuts the real power. */
export function fastFolder(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

/** The real one: tests put other timers in place of the global ones. */
const { setInterval: realInterval, clearInterval: clearRealInterval } = globalThis;

let shared: Threads | null = null;

/** One pair of threads for all tests of a file: starting them takes longer than most tests. */
export function testThreads(): Threads {
  shared ??= startThreads({ workers: 1 });
  return shared;
}

after(async () => {
  await shared?.close();
});

interface Running {
  engine: Engine;
  doors: EngineDeps;
  store: DiskStore;
  cut: CutDisk;
  recovered: Recovered;
}

export async function startEngine(
  t: TestContext,
  settings: Partial<EngineSettings> = {},
  rigging: Rigging = {},
): Promise<EngineUnderTest> {
  const dataDir = rigging.dataDir ?? (await mkdtemp(join(fastFolder(), 'lading-engine-')));
  const warnings: { message: string; details: object }[] = [];
  const tap = rigging.tap ?? new Tap();
  let present = { ...DEFAULTS, ...settings };
  const start = (): Promise<Running> => run(dataDir, present, rigging, tap, warnings);
  // Threads at work do not keep a process alive, as a server's socket does.
  const alive = realInterval(() => {}, 60_000);
  let running: Running | null = await start();

  const current = (): Running => {
    if (!running) throw new Error('the engine was closed');
    return running;
  };
  const close = async (): Promise<void> => {
    const last = running;
    running = null;
    clearRealInterval(alive);
    if (last) await stop(last);
    if (rigging.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
  };
  t.after(close);

  return {
    get engine() {
      return current().engine;
    },
    get doors() {
      return current().doors;
    },
    get recovered() {
      return current().recovered;
    },
    dataDir,
    warnings,
    restart: async (changed = {}) => {
      await stop(current());
      present = { ...present, ...changed };
      running = await start();
    },
    crash: async (between, changed = {}) => {
      await kill(current());
      await between?.();
      present = { ...present, ...changed };
      running = await start();
    },
    close,
    quiet: () => tap.quiet(),
  };
}

async function run(
  dataDir: string,
  settings: EngineSettings,
  rigging: Rigging,
  tap: Tap,
  warnings: { message: string; details: object }[],
): Promise<Running> {
  const cut = cuttable(rigging.disk ?? realDisk, rigging.threads ?? testThreads());
  const store = await openDiskStore({ dataDir, disk: cut.disk, threads: cut.threads });
  try {
    const onDamaged = (key: string, error: Error): void => {
      warnings.push({ message: 'damaged document', details: { key, error } });
    };
    const doors: EngineDeps = {
      ...store,
      catalog: await openLowdbCatalog({ files: store.fileDocuments, onDamaged }),
      clock: rigging.clock ?? new SteadyClock(),
      ...(rigging.quota ? { quota: rigging.quota } : {}),
      warn: (message, details) => warnings.push({ message, details }),
    };
    const engine = new Engine(tap.wrap(doors), settings);
    const recovered = await engine.start(store.wasClean);
    return { engine, doors, store, cut, recovered };
  } catch (error) {
    await cut.cut();
    await store.close();
    throw error;
  }
}

/** In the order of a server that ends well. */
async function stop({ engine, store }: Running): Promise<void> {
  await engine.stop(0);
  await store.close({ clean: true });
}

async function kill({ engine, store, cut }: Running): Promise<void> {
  await cut.cut();
  await store.close();
  // Only its timers are left, and requests that hang; they end here without touching the disk.
  await engine.stop(0);
}
