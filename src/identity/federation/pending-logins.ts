/**
 * Sign-ins at outside providers that have begun and not come back. Each is kept by the browser that began it, sealed so that nobody can
 * read or change it there: no number of them costs the server anything. They are good for ten minutes, and until a restart, which
 * forgets the key. Coming back twice is the provider's to refuse: a code is good once.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import { SEALING_KEY_BYTES, SealedBox } from '../state/sealed-box.ts';
import type { FederatedProvider, Handshake } from './providers.ts';

export interface PendingLogin {
  provider: FederatedProvider['name'];
  handshake: Handshake;
  /** The same address must be told to the provider twice. */
  redirectUri: string;
  tenant: string;
  /** Where to go afterwards, a path of this server; null: the reply is JSON. */
  returnTo: string | null;
  /** Id of the person, signed in already, whom the account is to be added to. */
  linkTo: string | null;
}

export const PENDING_LOGIN_SECONDS = 600;

const PURPOSE = 'departure';

export class PendingLogins {
  readonly #clock: Clock;
  readonly #vault = new SealedBox(randomBytes(SEALING_KEY_BYTES));

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the browser keeps. */
  seal(departure: PendingLogin): string {
    const until = this.#clock.monotonic() + PENDING_LOGIN_SECONDS * 1000;
    return this.#vault.seal(JSON.stringify({ ...departure, until }), PURPOSE);
  }

  /** Until when what was sealed counts, in milliseconds by the monotonic clock; 0: it does not. */
  untilOf(text: string): number {
    const { until } = this.#opened(text) ?? { until: 0 };
    return until > this.#clock.monotonic() ? until : 0;
  }

  /** Null for what was not sealed here, or too long ago. */
  open(text: string): PendingLogin | null {
    const opened = this.#opened(text);
    if (opened === null) return null;
    const { until, ...departure } = opened;
    return until > this.#clock.monotonic() ? departure : null;
  }

  #opened(text: string): (PendingLogin & { until: number }) | null {
    const opened = this.#vault.open(text, PURPOSE);
    return opened === null ? null : (JSON.parse(opened) as PendingLogin & { until: number });
  }
}
