/**
 * The clock of a sign-in provider. It measures the lifetime of the provider's ID tokens, because the clock of this machine may be wrong. It
 * is derived from the Date field of the provider's replies and the monotonic time since.
 */
import type { Clock } from '../../contracts/clock.ts';
import { parseHttpDate } from '../../protocol/http/conditionals.ts';

/** Dates have a resolution of one second, and the clocks of a provider's machines differ. */
const TOLERANCE_MS = 30_000;

/** Validity of a token in seconds since the epoch, by the issuer's clock (RFC 7519 §4.1). */
export interface TokenTimes {
  exp: number;
  nbf?: number | undefined;
}

/** The clock of one provider. */
export class ProviderClock {
  readonly #clock: Clock;
  /** The provider's date minus monotonic time, in milliseconds; null before the first reply. */
  #offset: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Wraps `fetch` to read the date of each reply. */
  wrap(fetch: typeof globalThis.fetch): typeof fetch {
    return async (...parameters) => {
      const reply = await fetch(...parameters);
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
