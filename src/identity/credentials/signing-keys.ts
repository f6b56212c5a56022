/**
 * Keys that sign access tokens when others are to verify them without asking (EdDSA, RS256): one signs, and those before it verify
 * until the last token that they signed has expired.
 *
 *     made → signs for so many days → only verifies → over → gone a day later
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type JsonWebKey } from 'node:crypto';
import { promisify } from 'node:util';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { SecretBox } from '../../contracts/collection.ts';

/** HS256 has one secret, kept elsewhere, and nothing to publish. */
export const JWT_ALGORITHMS = ['HS256', 'EdDSA', 'RS256'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];
export type RotatingAlgorithm = Exclude<JwtAlgorithm, 'HS256'>;

const DAY_MS = 24 * 3600 * 1000;
/** While a new key is written, the old one still signs. */
const GRACE_MS = 60_000;
const RSA_BITS = 2048;

const makePair = promisify(generateKeyPair);

/** A public key as RFC 7517 has it. */
export interface PublicJwk {
  kty: string;
  kid: string;
  alg: RotatingAlgorithm;
  use: 'sig';
  crv?: string;
  x?: string;
  n?: string;
  e?: string;
}

/** As it is written down. Times are moments of the time line of the server: see `Clock.steady`. */
interface StoredKey {
  algorithm: RotatingAlgorithm;
  createdAt: number;
  /** The longest life of a token that it may have signed. */
  lifeMs: number;
  /** When the last token that it signed expires; null: it signs. */
  until: number | null;
  /** How far the date was ahead of the time line when it was made; absent in those of earlier versions. */
  ahead?: number;
  /** PKCS #8, PEM. */
  privateKey: string;
}

export interface SigningKey extends StoredKey {
  /** Thumbprint of the public key (RFC 7638). */
  kid: string;
  /** SPKI, PEM. */
  publicKey: string;
  jwk: PublicJwk;
}

export interface KeyRingOptions {
  box: SecretBox;
  clock: Clock;
  algorithm: RotatingAlgorithm;
  /** How old the key that signs becomes. */
  rotateDays: number;
  /** How long an access token is valid. */
  tokenSeconds: number;
}

export class KeyRing {
  readonly algorithm: RotatingAlgorithm;
  readonly #options: KeyRingOptions;
  /** Oldest first; the last one signs. */
  #keys: readonly SigningKey[] = [];
  #sweeping: Promise<void> = Promise.resolve();

  private constructor(options: KeyRingOptions) {
    this.algorithm = options.algorithm;
    this.#options = options;
  }

  /**
   * Reads the keys. Those of another algorithm are forgotten: what they signed is refused.
   * @throws Error that says what to do when they cannot be read
   */
  static async open(options: KeyRingOptions): Promise<KeyRing> {
    const ring = new KeyRing(options);
    const stored = await options.box.read();
    if (stored) ring.#keys = parse(stored).filter(({ algorithm }) => algorithm === options.algorithm);
    try {
      await ring.sweep();
    } catch (error) {
      // On a full disk the server starts all the same, if there is a key to go on with.
      if (ring.#keys.length === 0) throw error;
    }
    return ring;
  }

  /** The key that signs. */
  get current(): SigningKey {
    const key = this.#keys.at(-1);
    if (!key) throw new Error('there is no key');
    return key;
  }

  /** The key of this id, if what it signed may still be good. */
  find(kid: string): SigningKey | null {
    const key = this.#keys.find((known) => known.kid === kid);
    return key && !isOver(key, this.#options.clock.steady()) ? key : null;
  }

  /** The public keys of all that may still verify something. */
  jwks(): PublicJwk[] {
    const now = this.#options.clock.steady();
    return this.#keys.filter((key) => !isOver(key, now)).map(({ jwk }) => jwk);
  }

  /** A new key if the one that signs is too old; forgets those whose last token expired long ago. Durable when it resolves. */
  sweep(): Promise<void> {
    const next = this.#sweeping.catch(() => {}).then(() => this.#sweep());
    this.#sweeping = next;
    return next;
  }

  async #sweep(): Promise<void> {
    const { algorithm, box, clock, rotateDays, tokenSeconds } = this.#options;
    const now = clock.steady();
    const lifeMs = tokenSeconds * 1000;
    const keys = this.#keys.filter(({ until }) => until === null || !isLongPast(clock, until));
    const last = keys.pop();
    const ahead = clock.dateOf(0);
    const isDue = !last || last.until !== null || now - last.createdAt >= rotateDays * DAY_MS || setBack(last, ahead);
    if (last && !isDue) keys.push(last.lifeMs >= lifeMs ? last : { ...last, lifeMs });
    if (last && isDue) keys.push({ ...last, until: last.until ?? now + Math.max(last.lifeMs, lifeMs) + GRACE_MS });
    if (isDue) keys.push(await makeKey(algorithm, now, lifeMs, ahead));
    const changed = keys.length !== this.#keys.length || keys.some((key, i) => key !== this.#keys[i]);
    if (!changed) return;
    // Not used before it would survive a crash, or its tokens would not.
    await box.write(serialize(keys));
    this.#keys = keys;
  }
}

function isOver({ until }: StoredKey, now: number): boolean {
  return until !== null && until <= now;
}

/**
 * True when the date was set back since the key was made: others, who go by `exp`, would take what it signed for longer than it is valid,
 * but for the key, which is withdrawn in time.
 */
function setBack({ ahead = 0 }: StoredKey, now: number): boolean {
  return ahead - now > GRACE_MS;
}

async function makeKey(algorithm: RotatingAlgorithm, now: number, lifeMs: number, ahead: number): Promise<SigningKey> {
  const { privateKey } =
    algorithm === 'EdDSA' ? await makePair('ed25519') : await makePair('rsa', { modulusLength: RSA_BITS });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return withPublic({ algorithm, createdAt: now, lifeMs, until: null, ahead, privateKey: pem });
}

function withPublic(stored: StoredKey): SigningKey {
  const key = createPublicKey(createPrivateKey(stored.privateKey));
  const exported = key.export({ format: 'jwk' });
  const { kty = '', crv, x, n, e } = exported;
  const members = crv !== undefined && x !== undefined ? { crv, x } : { n: n ?? '', e: e ?? '' };
  const kid = thumbprint(exported);
  return {
    ...stored,
    kid,
    publicKey: key.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: { kty, kid, alg: stored.algorithm, use: 'sig', ...members },
  };
}

/** RFC 7638: the members that make the key, in the order of their names; JSON leaves out the ones that it has not. */
function thumbprint({ crv, e, kty, n, x }: JsonWebKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x })).digest('base64url');
}

function serialize(keys: readonly SigningKey[]): Uint8Array {
  const stored = keys.map(({ algorithm, createdAt, lifeMs, until, ahead = 0, privateKey }): StoredKey => {
    return { algorithm, createdAt, lifeMs, until, ahead, privateKey };
  });
  return Buffer.from(JSON.stringify({ keys: stored }));
}

function parse(bytes: Uint8Array): SigningKey[] {
  try {
    const { keys } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { keys?: unknown };
    if (!Array.isArray(keys)) throw new Error('no list of keys');
    return keys.map((key: unknown) => withPublic(checked(key)));
  } catch {
    // What was wrong might be told in words that hold a part of a key.
    throw new Error(
      'The keys that sign tokens cannot be read. Restore secrets/signingkeys from a backup, or remove it: new ones are made then.',
    );
  }
}

function checked(value: unknown): StoredKey {
  const {
    algorithm,
    createdAt,
    lifeMs,
    until,
    ahead = 0,
    privateKey,
  } = value as Partial<Record<keyof StoredKey, unknown>>;
  if (algorithm !== 'EdDSA' && algorithm !== 'RS256') throw new Error('an unknown algorithm');
  if (typeof createdAt !== 'number' || typeof lifeMs !== 'number') throw new Error('no times');
  if (until !== null && typeof until !== 'number') throw new Error('no end');
  if (typeof ahead !== 'number') throw new Error('no time');
  if (typeof privateKey !== 'string') throw new Error('no key');
  return { algorithm, createdAt, lifeMs, until, ahead, privateKey };
}
