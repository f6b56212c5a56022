/**
 * Pending logins: sign-ins at providers that have not returned yet. The server keeps none of them: the browser stores each one, encrypted
 * so that it can be neither read nor changed there. They expire after ten minutes, or at a restart, which loses the key. The provider
 * prevents replays, because an authorization code works only once.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../contracts/clock.ts';
import { SEALING_KEY_BYTES, SealedBox } from '../state/sealed-box.ts';
import type { FederatedProvider, Handshake } from './providers.ts';

/** A sign-in that has begun. */
export interface PendingLogin {
  provider: FederatedProvider['name'];
  handshake: Handshake;
  /** The address that the provider redirects to. The provider compares it when the code is exchanged. */
  redirectUri: string;
  tenant: string;
  /** Path of this server to redirect to afterwards; null: the reply is JSON. */
  returnTo: string | null;
  /** Id of the signed-in person to whom the account is added. */
  linkTo: string | null;
}

/** Lifetime of a pending login. */
export const PENDING_LOGIN_SECONDS = 600;

const PURPOSE = 'pending login';

/** Seals pending logins for browsers, and opens them again. */
export class PendingLogins {
  readonly #clock: Clock;
  readonly #box = new SealedBox(randomBytes(SEALING_KEY_BYTES));

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Encrypts a pending login for the browser. */
  seal(login: PendingLogin): string {
    const until = this.#clock.monotonic() + PENDING_LOGIN_SECONDS * 1000;
    return this.#box.seal(JSON.stringify({ ...login, until }), PURPOSE);
  }

  /** When a sealed login expires, in milliseconds of the monotonic clock; 0 if it is invalid or has expired. */
  untilOf(text: string): number {
    const { until } = this.#opened(text) ?? { until: 0 };
    return until > this.#clock.monotonic() ? until : 0;
  }

  /** Decrypts a pending login; null if it is invalid or has expired. */
  open(text: string): PendingLogin | null {
    const opened = this.#opened(text);
    if (opened === null) return null;
    const { until, ...login } = opened;
    return until > this.#clock.monotonic() ? login : null;
  }

  #opened(text: string): (PendingLogin & { until: number }) | null {
    const opened = this.#box.open(text, PURPOSE);
    return opened === null ? null : (JSON.parse(opened) as PendingLogin & { until: number });
  }
}
