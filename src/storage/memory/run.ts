/** Simulates one process that uses the storage. Once it has ended, its operations fail. */
import { LadingError } from '../../errors.ts';

/** The operations of the storage, as a scheduler sees them: part of the store, a dot, and what it does. */
export type Operation = `${
  | 'blobs'
  | 'part'
  | 'reader'
  | 'inspector'
  | 'manifests'
  | 'manifest'
  | 'catalog'
  | 'collection'
  | 'audit'
  | 'secret'
  | 'date'}.${string}`;

/** `before`: nothing has happened yet. `after`: the effect is stored, and the caller does not know it yet. */
export type Moment = 'before' | 'after';

/**
 * Decides when operations proceed. Every operation awaits it before and after its effect. If it throws, the operation fails. Only an append
 * then undoes its effect, as its contract demands.
 */
export type Scheduler = (operation: Operation, moment: Moment) => Promise<void>;

/** Without a scheduler, every operation proceeds at once. */
export const AT_ONCE: Scheduler = () => Promise.resolve();

export class Run {
  readonly #scheduler: Scheduler;
  #hasEnded = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  end(): void {
    this.#hasEnded = true;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Runs an operation whose effect is visible as soon as it is stored. */
  async step<T>(operation: Operation, effect: () => T): Promise<T> {
    await this.checkpoint(operation, 'before');
    const result = effect();
    await this.checkpoint(operation, 'after');
    return result;
  }

  /** Waits for the scheduler. @throws LadingError `internal` when the process has ended, and whatever the scheduler throws */
  async checkpoint(operation: Operation, moment: Moment): Promise<void> {
    this.#assertRunning();
    await this.#scheduler(operation, moment);
    this.#assertRunning();
  }

  #assertRunning(): void {
    if (this.#hasEnded) throw new LadingError('internal', 'The storage is closed.');
  }
}

export function notFound(): LadingError {
  return new LadingError('not_found', 'There is no such file.');
}
