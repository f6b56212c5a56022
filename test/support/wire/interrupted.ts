/**
 * Interrupts a change at each of its commit points in turn, in two ways: a loss of power, which may lose unsynced writes, and a disk
 * that fails one operation and continues to work. Either the old or the new state must exist afterwards, and after the change
 * has resolved, the new one.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { realDisk } from '../../../src/storage/disk/io/disk.ts';
import type { DiskStore } from '../../../src/storage/disk/store.ts';
import { deadFrom, FaultyDisk, failAt, type Plan } from '../disk/faulty-disk.ts';
import { PowerLossDisk } from '../disk/power-loss-disk.ts';
import { openTestStore, sharedThreads, temporaryFolder } from '../disk/storage.ts';

export interface Scenario<C> {
  /** Creates the old state durably. */
  before(store: DiskStore): Promise<C>;
  /** Changes the old state to the new one. */
  act(store: DiskStore, context: C): Promise<void>;
  /** Returns `old` or `new`; fails for any other state. */
  look(store: DiskStore, context: C, dataDir: string): Promise<'old' | 'new'>;
}

/** Pseudo-random numbers from 0 to 1, the same in every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const MAX_STEPS = 200;

/** Loses power at the n-th operation, for every n, and starts on the synced state, with random unsynced writes or without. */
async function powerGoes<C>(t: TestContext, scenario: Scenario<C>): Promise<void> {
  for (let n = 0; n < MAX_STEPS; n += 1) {
    const { folder, disk, faulty, store } = await machine(t);
    const context = await scenario.before(store);
    faulty.arm(deadFrom(n));
    const done = await resolves(scenario.act(store, context));
    const faults = faulty.disarm();
    assert.ok(done || faults > 0, `step ${n} fails only by an injected fault`);
    for (const seed of [null, 1, 2, 3]) {
      const survivor = join(folder, `survivor-${seed}`);
      await disk.crash(survivor, seed === null ? null : dice(seed * 1000 + n));
      const after = await openTestStore(t, { dataDir: survivor });
      const found = await scenario.look(after, context, survivor);
      if (done) assert.equal(found, 'new', `what was done before the power went at step ${n} is there, seed ${seed}`);
      await after.close();
    }
    await store.close().catch(() => undefined);
    if (faults === 0) return;
  }
  assert.fail('the action never comes to an end');
}

/** Fails the n-th operation, for every n and every kind of failure, and repeats the change in the same process. */
async function diskRefuses<C>(t: TestContext, scenario: Scenario<C>): Promise<void> {
  const kinds: ((n: number) => Plan)[] = [
    (n) => failAt(n, { code: 'EIO' }),
    (n) => failAt(n, { code: 'ENOSPC', when: 'half' }),
    (n) => failAt(n, { code: 'EIO', when: 'after' }),
  ];
  for (const [kind, plan] of kinds.entries()) {
    for (let n = 0; n < MAX_STEPS; n += 1) {
      const { folder, dataDir, disk, faulty, store } = await machine(t);
      const context = await scenario.before(store);
      faulty.arm(plan(n));
      const done = await resolves(scenario.act(store, context));
      const faults = faulty.disarm();
      if (!done) {
        await scenario.look(store, context, dataDir);
        await scenario.act(store, context);
      }
      assert.equal(await scenario.look(store, context, dataDir), 'new', `kind ${kind}, step ${n}`);
      const survivor = join(folder, 'survivor');
      await disk.crash(survivor);
      const after = await openTestStore(t, { dataDir: survivor });
      assert.equal(
        await scenario.look(after, context, survivor),
        'new',
        `kind ${kind}, step ${n}, after a loss of power`,
      );
      await after.close();
      await store.close();
      if (faults === 0) break;
    }
  }
}

async function machine(t: TestContext) {
  // In memory, because the power-loss disk simulates the syncs, and hundreds of starts must be fast.
  const folder = await temporaryFolder(t, existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const dataDir = join(folder, 'data');
  await realDisk.mkdir(dataDir);
  const disk = await PowerLossDisk.over(dataDir);
  t.after(() => disk.dispose());
  const faulty = new FaultyDisk(disk);
  // Without idle descriptors, every operation opens its own, and every open can fail.
  const store = await openTestStore(t, {
    dataDir,
    disk: faulty,
    threads: faulty.threads(sharedThreads()),
    idleHandles: 0,
  });
  return { folder, dataDir, disk, faulty, store };
}

async function resolves(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch {
    return false;
  }
}

/** Defines the tests of both ways for one scenario. */
export function interrupted<C>(name: string, scenario: Scenario<C>): void {
  test(`${name}: the power goes at each step`, (t) => powerGoes(t, scenario));
  test(`${name}: each step fails once`, (t) => diskRefuses(t, scenario));
}
