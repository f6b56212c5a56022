/** An engine on disk storage in a directory of its own, which a test can stop, crash and start again. */
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
import { type LedgerStore, openLedgerStore } from '../../../src/storage/lmdb/store.ts';
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

/** Replacements for the dependencies of an engine. */
export interface EngineOverrides {
  clock?: Clock;
  disk?: Disk;
  /** The caller closes them. */
  threads?: Threads;
  quota?: Quota;
  /** An existing directory, which is not deleted at the end. */
  dataDir?: string;
  /** Wraps the dependencies of every engine that is started; by default a new one. */
  tap?: Tap;
}

export interface EngineUnderTest {
  /** The running engine. */
  readonly engine: Engine;
  /** Its dependencies, without the tap. */
  readonly deps: EngineDeps;
  /** What recovery found at the last start. */
  readonly recovered: Recovered;
  readonly dataDir: string;
  /** Warnings that all engines so far have logged. */
  readonly warnings: { message: string; details: object }[];
  /** Stops the engine cleanly and starts it on the same directory, with changed settings if given. */
  restart(settings?: Partial<EngineSettings>): Promise<void>;
  /** Cuts the engine off as a crash does, runs `between`, and starts an engine on what is on the disk. */
  crash(between?: () => Promise<void>, settings?: Partial<EngineSettings>): Promise<void>;
  /** Stops the engine cleanly and deletes its directory. */
  close(): Promise<void>;
  /** Resolves when the engine is idle or waits only for requests. */
  quiet(): Promise<void>;
}

/** A directory in memory where the system has one, because these tests sync thousands of times. */
export function fastFolder(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

/** The real timers, because some tests replace the global ones. */
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
  deps: EngineDeps;
  store: DiskStore | LedgerStore;
  cut: CutDisk;
  recovered: Recovered;
}

export async function startEngine(
  t: TestContext,
  settings: Partial<EngineSettings> = {},
  rigging: EngineOverrides = {},
): Promise<EngineUnderTest> {
  const dataDir = rigging.dataDir ?? (await mkdtemp(join(fastFolder(), 'lading-engine-')));
  const warnings: { message: string; details: object }[] = [];
  const tap = rigging.tap ?? new Tap();
  let present = { ...DEFAULTS, ...settings };
  const start = (): Promise<Running> => run(dataDir, present, rigging, tap, warnings);
  // Busy worker threads do not keep the process alive.
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
    get deps() {
      return current().deps;
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
  rigging: EngineOverrides,
  tap: Tap,
  warnings: { message: string; details: object }[],
): Promise<Running> {
  const cut = cuttable(rigging.disk ?? realDisk, rigging.threads ?? testThreads());
  const open = process.env.LADING_TEST_STORE === 'lmdb' ? openLedgerStore : openDiskStore;
  const store = await open({ dataDir, disk: cut.disk, threads: cut.threads });
  try {
    const onDamaged = (key: string, error: Error): void => {
      warnings.push({ message: 'damaged document', details: { key, error } });
    };
    const deps: EngineDeps = {
      ...store,
      catalog: await openLowdbCatalog({ files: store.fileDocuments, onDamaged }),
      clock: rigging.clock ?? new SteadyClock(),
      ...(rigging.quota ? { quota: rigging.quota } : {}),
      warn: (message, details) => warnings.push({ message, details }),
    };
    const engine = new Engine(tap.wrap(deps), settings);
    const recovered = await engine.start(store.wasClean);
    return { engine, deps, store, cut, recovered };
  } catch (error) {
    await cut.cut();
    await store.close();
    throw error;
  }
}

/** Stops engine and storage in the order of a clean shutdown. */
async function stop({ engine, store }: Running): Promise<void> {
  await engine.stop(0);
  await store.close({ clean: true });
}

async function kill({ engine, store, cut }: Running): Promise<void> {
  await cut.cut();
  await store.close();
  // This only ends timers and pending requests; the disk is cut off by now.
  await engine.stop(0);
}
