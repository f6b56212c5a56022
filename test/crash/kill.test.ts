/**
 * Server processes that are killed while several devices send over several connections, and started again on what they left. After
 * each start everything that was acknowledged is there and right, whichever the durability: only a loss of power takes what the
 * system has not written yet.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fastFolder } from '../support/product/engine.ts';
import { type Random, seeded } from '../support/random.ts';
import { Cargo } from './cargo.ts';
import { Child, Device } from './child.ts';
import { Lost } from './remote.ts';

/** Rounds in which the kill fell while requests waited for their answers; others are not counted. */
const ROUNDS = 50;
/** Rounds of any kind after which this test admits that it does not do what it says. */
const MAX_ROUNDS = 4 * ROUNDS;
/** Directories that this happens to at the same time, to use both cores: a start is mostly work for one. */
const LANES = 2;
/** Declared sizes, which are also replaced, and undeclared ones. */
const DECLARED = [true, true, true, true, false, false];

type Storage = 'disk' | 'lmdb';

/** The storage of a round: a data directory may be migrated to the other one. */
type StorageOf = (round: number) => Storage;

function startChild(t: TestContext, storage: Storage, dataDir: string, round: number): Child {
  const child = new Child(dataDir, {
    LADING_STORAGE: storage,
    LADING_DURABILITY: round % 2 === 0 ? 'chunk' : 'seal',
    LADING_STALE_SECONDS: '1',
  });
  t.after(() => child.kill());
  return child;
}

/** Sends until the server is gone. */
async function sendUntilLost(cargo: Cargo, device: Device): Promise<void> {
  try {
    for (;;) await cargo.step(device);
  } catch (error) {
    if (!(error instanceof Lost)) throw error;
  }
}

/**
 * One life of a server: what it was left with is inspected, then it gets work, and is killed somewhere in it.
 * @returns how many requests waited for their answers at the kill
 */
async function live(child: Child, cargos: Cargo[], random: Random): Promise<number> {
  let answers = random.int(1, 60);
  let killed: Promise<void> | null = null;
  let inFlight = 0;
  const device = new Device(await child.origin, () => {
    answers -= 1;
    if (answers === 0)
      setTimeout(
        () => {
          inFlight = device.inFlight;
          killed = child.kill();
        },
        random.int(0, 10),
      );
  });
  try {
    const inspector = new Device(await child.origin);
    await inspector.signIn();
    for (const cargo of cargos) await cargo.inspect(inspector, true);
    await inspector.close();
    await device.signIn();
    await Promise.all(cargos.map((cargo) => sendUntilLost(cargo, device)));
    await killed;
    return inFlight;
  } finally {
    await device.close();
  }
}

/** What all lanes did so far. */
interface Tally {
  rounds: number;
  /** The number of these kills under load. */
  underLoad: number;
}

/** A data directory and what happens on it, from the first start to the last. */
async function lane(t: TestContext, storageOf: StorageOf, random: Random, tally: Tally): Promise<void> {
  const dataDir = await mkdtemp(join(fastFolder(), 'lading-kill-'));
  t.after(() => rm(dataDir, { recursive: true, force: true }));
  const cargos = DECLARED.map((declared, i) => new Cargo(`f${i}`, declared, random.fork()));
  for (let round = 0; tally.underLoad < ROUNDS; round += 1) {
    tally.rounds += 1;
    assert.ok(tally.rounds <= MAX_ROUNDS, `only ${tally.underLoad} of ${MAX_ROUNDS} kills fell under load`);
    const child = startChild(t, storageOf(round), dataDir, round);
    if (random.once(8)) {
      // Also in the middle of a start.
      await new Promise((resolve) => setTimeout(resolve, random.int(50, 500)));
      await child.kill();
      continue;
    }
    const inFlight = await live(child, cargos, random).catch((error: unknown) => {
      if (error instanceof Error) error.message = `round ${round}: ${error.message}`;
      throw error;
    });
    if (inFlight > 0) tally.underLoad += 1;
    assert.equal(child.errors, '', `round ${round}`);
  }
  const child = startChild(t, storageOf(tally.rounds), dataDir, 0);
  const device = new Device(await child.origin);
  await device.signIn();
  for (const cargo of cargos) {
    await cargo.inspect(device, true);
    await cargo.finish(device);
  }
  await device.close();
  assert.equal(child.errors, '');
  await child.kill('SIGTERM');
  assert.equal(child.process.exitCode, 0, 'the last one stops cleanly');
}

const STORAGES: Record<string, StorageOf> = {
  'on the disk': () => 'disk',
  'with a database': () => 'lmdb',
  'migrated to a database': (round) => (round < 8 ? 'disk' : 'lmdb'),
};

for (const [where, storageOf] of Object.entries(STORAGES)) {
  test(`${where}: every acknowledged chunk survives ${ROUNDS} kills under load, and every upload can be finished`, async (t) => {
    const random = seeded(t);
    const tally: Tally = { rounds: 0, underLoad: 0 };
    await Promise.all(Array.from({ length: LANES }, () => lane(t, storageOf, random.fork(), tally)));
    t.diagnostic(`${tally.rounds} rounds, ${tally.underLoad} of them killed under load`);
  });
}
