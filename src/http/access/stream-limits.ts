/** Limits the open event streams of all kinds. Each costs a socket and a timer. */

import { LadingError } from '../../errors.ts';
import type { Principal } from '../../records/principal.ts';

const MOST = 4096;
/** Per principal, so that one cannot take all. */
const MAX_EACH = 64;

export class StreamLimits {
  #open = 0;
  /** Open streams by principal. */
  readonly #each = new Map<string, number>();

  /**
   * Counts a stream until the returned function is called.
   * @param asker who is counted: an API token with its owner
   * @throws LadingError `overloaded` when too many are open, in all or of the asker's
   */
  enter({ tenant, id }: Pick<Principal, 'tenant' | 'id'>): () => void {
    const key = `${tenant}/${id}`;
    const theirs = this.#each.get(key) ?? 0;
    if (theirs >= MAX_EACH) throw tooMany('You have too many streams of events open');
    if (this.#open >= MOST) throw tooMany('Too many streams of events are open');
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
  return new LadingError('overloaded', `${what}; end one, or ask without text/event-stream.`, { retry_after: 10 });
}
