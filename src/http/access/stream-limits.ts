/** Limits the number of open event streams. Each costs a socket and a timer. */

import { LadingError } from '../../errors.ts';
import type { Principal } from '../../records/principal.ts';

const MAX_TOTAL = 4096;
/** Limit of one principal, so that it cannot use up the total. */
const MAX_EACH = 64;

/** Counts the streams of all principals. */
export class StreamLimits {
  #open = 0;
  /** Open streams by principal. */
  readonly #each = new Map<string, number>();

  /**
   * Counts a stream until the returned function is called.
   * @throws LadingError `overloaded` when too many are open, in total or of the principal
   */
  enter({ tenant, id }: Pick<Principal, 'tenant' | 'id'>): () => void {
    const key = `${tenant}/${id}`;
    const theirs = this.#each.get(key) ?? 0;
    if (theirs >= MAX_EACH) throw tooMany('You have too many open event streams');
    if (this.#open >= MAX_TOTAL) throw tooMany('Too many event streams are open');
    this.#open += 1;
    this.#each.set(key, theirs + 1);
    return () => {
      this.#open -= 1;
      const left = (this.#each.get(key) ?? 1) - 1;
      if (left === 0) this.#each.delete(key);
      else this.#each.set(key, left);
    };
  }
}

function tooMany(what: string): LadingError {
  return new LadingError('overloaded', `${what}. Close one, or send the request without Accept: text/event-stream.`, {
    retry_after: 10,
  });
}
