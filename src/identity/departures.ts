/**
 * Sign-ins at outside providers that have begun and not come back. Each is known by a random id that only the browser it began in has
 * (in a cookie), is good for ten minutes and for one return. They are kept in memory alone: a restart asks people to begin again.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../contracts.ts';
import type { Handshake, OutsideProvider } from './outside.ts';

export interface Departure {
  provider: OutsideProvider['name'];
  handshake: Handshake;
  /** The same address must be told to the provider twice. */
  redirectUri: string;
  tenant: string;
  /** Where to go afterwards, a path of this server; null: the reply is JSON. */
  returnTo: string | null;
  /** Id of the person, signed in already, whom the account is to be added to. */
  linkTo: string | null;
}

export const DEPARTURE_SECONDS = 600;
const MOST = 10_000;

export class Departures {
  readonly #clock: Clock;
  readonly #pending = new Map<string, Departure & { until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The id that the browser keeps. */
  add(departure: Departure): string {
    const id = randomBytes(32).toString('base64url');
    this.#pending.set(id, { ...departure, until: this.#clock.now() + DEPARTURE_SECONDS * 1000 });
    // The oldest has had the most time to come back.
    const [oldest] = this.#pending.keys();
    if (this.#pending.size > MOST && oldest !== undefined) this.#pending.delete(oldest);
    return id;
  }

  /** Once; null for what never began, came back before or took too long. */
  take(id: string): Departure | null {
    const departure = this.#pending.get(id);
    this.#pending.delete(id);
    return departure && departure.until > this.#clock.now() ? departure : null;
  }
}
