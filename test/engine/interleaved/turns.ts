/**
 * The scheduler of the memory back end under test. Every storage operation waits here twice, before its effect and before its caller
 * knows of it, and the test decides which of those that wait goes on. Nothing else in the engine waits for anything outside, so a list
 * of choices decides the whole interleaving.
 */
import type { Moment, Operation, Scheduler } from '../../../src/storage/memory/run.ts';

interface Waiting {
  operation: Operation;
  moment: Moment;
  go(): void;
  fail(error: Error): void;
}

/** Turns of the event loop without any activity after which the engine has done all it can. The engine itself waits for two at most. */
const QUIET_TURNS = 4;

export class Turns {
  /** What happened, for the message of a failure. */
  readonly trace: string[] = [];
  /** Makes the next operation fail that goes on. Appends fail only before their effect. */
  fault: Error | null = null;
  #waiting: Waiting[] = [];
  #activity = 0;

  readonly scheduler: Scheduler = (operation, moment) => {
    this.noteActivity();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, moment, go: resolve, fail: reject });
    });
  };

  get waiting(): number {
    return this.#waiting.length;
  }

  noteActivity(): void {
    this.#activity += 1;
  }

  /** Resolves when everything that can go on without a storage operation has gone on. */
  async quiet(): Promise<void> {
    for (let same = 0; same < QUIET_TURNS; ) {
      const before = this.#activity;
      await new Promise((resolve) => setImmediate(resolve));
      same = before === this.#activity ? same + 1 : 0;
    }
  }

  /** Lets one waiting operation go on. @param choice which one, counted from the one that waits longest */
  async release(choice: number): Promise<void> {
    const [one] = this.#waiting.splice(choice % this.#waiting.length, 1);
    if (!one) return;
    const { operation, moment } = one;
    this.trace.push(`${operation} ${moment}${this.fault ? ' FAILS' : ''}`);
    if (this.fault) one.fail(this.fault);
    else one.go();
    this.fault = null;
    await this.quiet();
  }

  /** Lets everything that waits go on, as after the end of the process. */
  releaseAll(): void {
    for (const { go } of this.#waiting.splice(0)) go();
  }
}
