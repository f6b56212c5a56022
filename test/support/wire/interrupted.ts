/**
 * Interrupts something at each of its commit points in turn, in two ways: the power goes (what was not synced may be gone), and the
 * disk refuses one operation and goes on working. Whatever happens, there is the old state or the new one, never neither; and
 * once a call has resolved, there is the new one.
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
  /** Reaches the old state, durably. */
  before(store: DiskStore): Promise<C>;
  /** Goes from the old state to the new one. */
  act(store: DiskStore, context: C): Promise<void>;
  /** `old`, `new`, or an assertion that fails. */
  look(store: DiskStore, context: C, dataDir: string): Promise<'old' | 'new'>;
}

/** Small pseudo-random numbers from 0 to 1, the same in every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const MAX_STEPS = 200;

/** The power goes at the n-th operation, for every n; then a start on what stable storage holds at least, and at random more. */
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

/** The n-th operation fails, for every n and every kind of failure; then the same process does it again. */
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
  // What a sync does is the power-loss disk's business here; in memory hundreds of machines come and go quickly.
  const folder = await temporaryFolder(t, existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const dataDir = join(folder, 'data');
  await realDisk.mkdir(dataDir);
  const disk = await PowerLossDisk.over(dataDir);
  t.after(() => disk.dispose());
  const faulty = new FaultyDisk(disk);
  // No idle descriptors: every operation opens its own, and every open is a step that can fail.
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

/** Both ways for one scenario. */
export function interrupted<C>(name: string, scenario: Scenario<C>): void {
  test(`${name}: the power goes at each step`, (t) => powerGoes(t, scenario));
  test(`${name}: each step fails once`, (t) => diskRefuses(t, scenario));
}
