/**
 * The clock of an outside provider. How long its ID tokens last is said by that clock, not by the one of this machine, which may be set at
 * any moment. Each reply of the provider tells its date; since then the monotonic time passes.
 */
import type { Clock } from '../../contracts/clock.ts';
import { parseHttpDate } from '../../protocol/http/conditionals.ts';

/** Dates in replies are whole seconds, and a provider has several machines. */
const TOLERANCE_MS = 30_000;

/** From when to when a token is valid: seconds since the epoch, by the clock of who made it (RFC 7519 §4.1). */
export interface TokenTimes {
  exp: number;
  nbf?: number | undefined;
}

export class ProviderClock {
  readonly #clock: Clock;
  /** Added to the monotonic time it is the date there; null: no reply told it yet. */
  #offset: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The same, but hears what date its replies bear. */
  listening(through: typeof fetch): typeof fetch {
    return async (...asked) => {
      const reply = await through(...asked);
      const date = parseHttpDate(reply.headers.get('date') ?? '');
      if (date !== null) this.#offset = date - this.#clock.monotonic();
      return reply;
    };
  }

  /** True for a token that is valid at the provider now. */
  isWithin({ exp, nbf = 0 }: TokenTimes): boolean {
    const now = this.#offset === null ? this.#clock.now() : this.#clock.monotonic() + this.#offset;
    return exp * 1000 > now - TOLERANCE_MS && nbf * 1000 <= now + TOLERANCE_MS;
  }
}
