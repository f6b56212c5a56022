/**
 * Sign-ins at outside providers that have begun and not come back. Each is kept by the browser that began it, sealed so that nobody can
 * read or change it there: no number of them costs the server anything. They are good for ten minutes, and until a restart, which
 * forgets the key. Coming back twice is the provider's to refuse: a code is good once.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
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

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class Departures {
  readonly #clock: Clock;
  readonly #key = randomBytes(32);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the browser keeps. */
  seal(departure: Departure): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce);
    const until = this.#clock.now() + DEPARTURE_SECONDS * 1000;
    const sealed = [cipher.update(JSON.stringify({ ...departure, until }), 'utf8'), cipher.final()];
    return Buffer.concat([nonce, cipher.getAuthTag(), ...sealed]).toString('base64url');
  }

  /** Null for what was not sealed here, or too long ago. */
  open(text: string): Departure | null {
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
    const decipher = createDecipheriv(CIPHER, this.#key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    try {
      const opened = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
      const { until, ...departure } = JSON.parse(opened.toString('utf8')) as Departure & { until: number };
      return until > this.#clock.now() ? departure : null;
    } catch {
      return null;
    }
  }
}
