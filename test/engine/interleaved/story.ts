/**
 * A story: requests to a few names that run at the same time, with losses of power, stops, failures and sweeps in between. Whenever all
 * requests have ended, and after every start, what clients see must be what some order of the requests explains.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { LadingError } from '../../../src/errors.ts';
import { statesAfter } from './orders.ts';
import { describe, FAULTS, NAMES, type Name, ordered, type Running, type Step } from './requests.ts';
import { type Cells, NOTHING, type State, sealed, withoutUnsynced } from './states.ts';
import type { Sight, World } from './world.ts';

/** Operations that go on before the next step begins. */
export type Paced = { step: Step; turns: number };

const DAY_MS = 24 * 3600 * 1000;
export class Story {
  readonly #world: World;
  readonly #durable: boolean;
  readonly #choices: readonly number[];
  readonly #random: (seed: number) => () => number;
  readonly #states = new Map<Name, State[]>(NAMES.map((name) => [name, [NOTHING]]));
  #requests: Running[] = [];
  /** Requests that failed with their effect perhaps stored: it may show after the next start. */
  #latent: Running[] = [];
  #background: Promise<unknown>[] = [];
  #time = 0;
  #chosen = 0;
  #faultIn = -1;
  #faulty = false;

  constructor(world: World, durable: boolean, choices: readonly number[], random: (seed: number) => () => number) {
    this.#world = world;
    this.#durable = durable;
    this.#choices = choices;
    this.#random = random;
  }

  async tell(steps: readonly Paced[]): Promise<void> {
    for (const { step, turns } of steps) {
      for (let n = 0; n < turns && this.#world.turns.waiting > 0; n += 1) await this.#release();
      this.#world.turns.trace.push(JSON.stringify(step));
      await this.#take(step);
    }
    await this.#settle();
    await this.#compare();
    await this.#end();
  }

  async #take(step: Step): Promise<void> {
    const world = this.#world;
    if (step.kind === 'settle' || step.kind === 'restart') {
      await this.#settle();
      if (step.kind === 'restart') await world.restart();
      await this.#compare();
    } else if (step.kind === 'crash') await this.#crash(step.seed);
    else if (step.kind === 'fault') this.#faultIn = step.after;
    else if (step.kind === 'sweep') this.#alongside(world.engine.sweep());
    else if (step.kind === 'silence') {
      world.clock.pass(2 * DAY_MS);
      this.#alongside(world.engine.sweep());
    } else if (step.kind === 'read') this.#alongside(this.#read(step.name));
    else this.#begin(step.name, step);
    await world.turns.quiet();
  }

  #begin(name: Name, step: Step): void {
    const world = this.#world;
    let answer: Promise<string | null>;
    if (step.kind === 'chunk') answer = world.sendChunk(name, step.chunk, step.damage);
    else if (step.kind === 'file') answer = world.sendFile(name, step.version, step.size, step.newest);
    else answer = step.kind === 'remove' ? world.remove(name) : world.cancel(name);
    this.#time += 1;
    const label = JSON.stringify(step);
    const request: Running = {
      ...{ name, step, label, began: this.#time, ended: null, code: null },
      over: answer.then((code) => {
        this.#time += 1;
        request.ended = this.#time;
        request.code = code;
        world.turns.noteActivity();
        world.turns.trace.push(`${code ?? 'ok'} ${label}`);
      }),
    };
    this.#requests.push(request);
  }

  /** Runs beside the requests; a failure shows when they have ended. */
  #alongside(work: Promise<unknown>): void {
    const noted = work.finally(() => this.#world.turns.noteActivity());
    noted.catch(() => {});
    this.#background.push(noted);
  }

  async #read(name: Name): Promise<void> {
    const { engine } = this.#world;
    try {
      await this.#world.read(name);
    } catch (error) {
      if (!(error instanceof LadingError)) throw error;
      assert.ok(this.#faulty || !this.#world.isAlive(engine), `a download of ${name} fails`);
    }
  }

  async #release(): Promise<void> {
    const { turns } = this.#world;
    if (this.#faultIn === 0) {
      turns.fault = noRoom();
      this.#faulty = true;
    }
    this.#faultIn -= 1;
    const choice = this.#choices[this.#chosen] ?? 0;
    this.#chosen += 1;
    await turns.release(choice);
  }

  /** All requests end, and the storage no longer fails. */
  async #settle(): Promise<void> {
    const all = Promise.all([...this.#requests.map(({ over }) => over), ...this.#background]);
    let over = false;
    const end = (): void => {
      over = true;
    };
    all.then(end, end);
    await this.#world.turns.quiet();
    while (!over) {
      assert.ok(
        this.#world.turns.waiting > 0,
        `requests wait for nothing: ${this.#requests.filter(({ ended }) => ended === null).map(({ label }) => label)}`,
      );
      await this.#release();
    }
    while (this.#world.turns.waiting > 0) await this.#release();
    await all;
    this.#faultIn = -1;
    // A seal that failed is made up for.
    await this.#world.finished(this.#world.engine.sweep());
    this.#conclude((states) => states);
  }

  async #crash(seed: number | null): Promise<void> {
    for (const { over } of this.#requests) over.catch(() => {});
    const answered = new Set(this.#requests.filter(({ ended }) => ended !== null));
    const before = this.#requests;
    this.#requests = before.map((request) => ({ ...request }));
    await this.#world.crash(seed === null ? null : this.#random(seed));
    for (const one of await Promise.allSettled(this.#background))
      if (one.status === 'rejected' && !(one.reason instanceof LadingError)) throw one.reason;
    for (const [index, request] of before.entries())
      if (!answered.has(request)) (this.#requests[index] as Running).ended = null;
    this.#requests.push(...this.#latent.map((request) => ({ ...request, began: 0, ended: null })));
    this.#latent = [];
    this.#faultIn = -1;
    this.#conclude((states) => (this.#durable ? states : states.flatMap(withoutUnsynced)));
    this.#faulty = false;
    this.#world.warnings.length = 0;
    await this.#compare();
  }

  /** Works out the states that the requests since the last time may have led to. */
  #conclude(lost: (states: State[]) => State[]): void {
    for (const name of NAMES) {
      const requests = this.#requests.filter((request) => request.name === name);
      const all = requests.map((request) => ordered(request, requests, this.#faulty));
      const states = statesAfter(this.#states.get(name) ?? [], all);
      assert.ok(states.length > 0, `${name}: no order explains the answers: ${describe(requests)}`);
      this.#states.set(name, lost(states).map(sealed));
      this.#latent.push(...requests.filter(({ ended, code }) => ended !== null && FAULTS.has(code)));
    }
    this.#told = this.#requests;
    this.#requests = [];
    this.#background = [];
  }

  #told: Running[] = [];

  /** What clients see is what one of the states says; those that it rules out are forgotten. */
  async #compare(): Promise<void> {
    const seen = new Map<string, State>();
    for (const name of NAMES) {
      const sight = await this.#world.look(name);
      const states = this.#states.get(name) ?? [];
      const possible = states.filter((state) => shows(state, sight));
      const requests = this.#told.filter((request) => request.name === name);
      const [state] = possible;
      assert.ok(
        state,
        `${name} is ${JSON.stringify(sight)}, expected one of ${JSON.stringify(states)} after ${describe(requests)}`,
      );
      this.#states.set(name, possible);
      seen.set(name, state);
    }
    await this.#world.assertAgrees(seen, !this.#faulty);
  }

  /** Every name still works: it takes a new file, gives it back, and can be emptied. */
  async #end(): Promise<void> {
    const world = this.#world;
    for (const name of NAMES) {
      assert.equal(await world.finished(world.sendFile(name, 4, 3, false)), null, `${name} takes a file`);
      assert.deepEqual(await world.finished(world.read(name)), [4, 4, 4], name);
      const verified = await world.finished(world.engine.verify('device', name));
      assert.equal(verified.ok, true, `${name} verifies`);
      assert.equal(await world.finished(world.remove(name)), null, `${name} can be removed`);
      this.#states.set(name, [NOTHING]);
    }
    this.#told = [];
    await this.#compare();
  }
}

function noRoom(): Error {
  return new LadingError('insufficient_storage', 'There is no room left.');
}

function shows({ file, upload }: State, sight: Sight): boolean {
  const served: Cells | null = file ?? (upload && trimmed(upload));
  const status = upload ? 'partial' : file ? 'complete' : 'pending';
  const stored = upload?.map((cell) => cell !== 0) ?? null;
  const expected: Sight = { status, upload: stored, served: served && served.length > 0 ? served : null };
  return isDeepStrictEqual(sight, expected);
}

function trimmed(cells: Cells): Cells {
  return cells.slice(0, cells.findLastIndex((cell) => cell !== 0) + 1);
}
