/**
 * The clock of a sign-in provider. The lifetime of its ID tokens is measured by that clock, because the clock of this machine may be set at
 * any time. It is derived from the Date field of the provider's replies and the monotonic time since.
 */
import type { Clock } from '../../contracts/clock.ts';
import { parseHttpDate } from '../../protocol/http/conditionals.ts';

/** Dates have a resolution of one second, and a provider has several machines. */
const TOLERANCE_MS = 30_000;

/** Validity of a token in seconds since the epoch, by the issuer's clock (RFC 7519 §4.1). */
export interface TokenTimes {
  exp: number;
  nbf?: number | undefined;
}

export class ProviderClock {
  readonly #clock: Clock;
  /** Provider's date minus monotonic time, in milliseconds; null: no reply yet. */
  #offset: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Wraps `fetch` to read the date of each reply. */
  listening(through: typeof fetch): typeof fetch {
    return async (...asked) => {
      const reply = await through(...asked);
      const date = parseHttpDate(reply.headers.get('date') ?? '');
      if (date !== null) this.#offset = date - this.#clock.monotonic();
      return reply;
    };
  }

  /** True if a token is valid now by the provider's clock. */
  isWithin({ exp, nbf = 0 }: TokenTimes): boolean {
    const now = this.#offset === null ? this.#clock.now() : this.#clock.monotonic() + this.#offset;
    return exp * 1000 > now - TOLERANCE_MS && nbf * 1000 <= now + TOLERANCE_MS;
  }
}
