/**
 * Keys that sign access tokens (EdDSA, RS256). Other servers can verify these tokens with the public keys. The newest key signs; older
 * keys verify until the last token that they signed has expired.
 *
 *     created → signs for `rotateDays` → only verifies → expired → removed a day later
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type JsonWebKey } from 'node:crypto';
import { promisify } from 'node:util';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { SecretBox } from '../../contracts/collection.ts';

/** HS256 signs with one secret, which is stored elsewhere and not published. */
export const JWT_ALGORITHMS = ['HS256', 'EdDSA', 'RS256'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];
export type RotatingAlgorithm = Exclude<JwtAlgorithm, 'HS256'>;

const DAY_MS = 24 * 3600 * 1000;
/** The old key still signs while the new one is being stored. */
const GRACE_MS = 60_000;
const RSA_BITS = 2048;

const makePair = promisify(generateKeyPair);

/** A public key in the format of RFC 7517. */
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

/** The stored form of a key. Times are on the server's time line: see `Clock.steady`. */
interface StoredKey {
  algorithm: RotatingAlgorithm;
  createdAt: number;
  /** Maximum lifetime of the tokens that it signed. */
  lifeMs: number;
  /** When the last token that it signed expires; null for the key that signs. */
  until: number | null;
  /** How far the date was ahead of the time line at creation; absent in keys of earlier versions. */
  ahead?: number;
  /** PKCS #8, PEM. */
  privateKey: string;
}

/** A key with its public part. */
export interface SigningKey extends StoredKey {
  /** Thumbprint of the public key (RFC 7638). */
  kid: string;
  /** SPKI, PEM. */
  publicKey: string;
  jwk: PublicJwk;
}

/** What a key ring needs. */
export interface KeyRingOptions {
  box: SecretBox;
  clock: Clock;
  algorithm: RotatingAlgorithm;
  /** Days for which a key signs. */
  rotateDays: number;
  /** How long an access token is valid. */
  tokenSeconds: number;
}

/** The keys of one algorithm. They rotate in `sweep`. */
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
   * Reads the keys. Keys of other algorithms are dropped, so tokens that they signed are refused.
   * @throws Error with advice when the keys cannot be read
   */
  static async open(options: KeyRingOptions): Promise<KeyRing> {
    const ring = new KeyRing(options);
    const stored = await options.box.read();
    if (stored) ring.#keys = parse(stored).filter(({ algorithm }) => algorithm === options.algorithm);
    try {
      await ring.sweep();
    } catch (error) {
      // On a full disk the server starts with the old key, if there is one.
      if (ring.#keys.length === 0) throw error;
    }
    return ring;
  }

  /** The key that signs. */
  get current(): SigningKey {
    const key = this.#keys.at(-1);
    if (!key) throw new Error('the key ring is empty');
    return key;
  }

  /** The key of this id, if tokens that it signed may still be valid. */
  find(kid: string): SigningKey | null {
    const key = this.#keys.find((known) => known.kid === kid);
    return key && !hasExpired(key, this.#options.clock.steady()) ? key : null;
  }

  /** Public keys of all keys that may still verify tokens. */
  jwks(): PublicJwk[] {
    const now = this.#options.clock.steady();
    return this.#keys.filter((key) => !hasExpired(key, now)).map(({ jwk }) => jwk);
  }

  /** Creates a new key if the current one is too old, and removes keys whose last token expired long ago. Durable when it resolves. */
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
    const isDue =
      !last || last.until !== null || now - last.createdAt >= rotateDays * DAY_MS || wasSetBack(last, ahead);
    if (last && !isDue) keys.push(last.lifeMs >= lifeMs ? last : { ...last, lifeMs });
    if (last && isDue) keys.push({ ...last, until: last.until ?? now + Math.max(last.lifeMs, lifeMs) + GRACE_MS });
    if (isDue) keys.push(await makeKey(algorithm, now, lifeMs, ahead));
    const changed = keys.length !== this.#keys.length || keys.some((key, i) => key !== this.#keys[i]);
    if (!changed) return;
    // A key is used only when it is durable: after a crash its tokens must still verify.
    await box.write(serialize(keys));
    this.#keys = keys;
  }
}

function hasExpired({ until }: StoredKey, now: number): boolean {
  return until !== null && until <= now;
}

/**
 * True if the clock was set back since the key was created. Other servers go by `exp` and would accept its tokens for too long, so the
 * key must be withdrawn earlier.
 */
function wasSetBack({ ahead = 0 }: StoredKey, now: number): boolean {
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

/** RFC 7638: hash over the required members in lexicographic order. JSON omits the members that the key does not have. */
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
    if (!Array.isArray(keys)) throw new Error('keys is not an array');
    return keys.map((key: unknown) => withPublic(checked(key)));
  } catch {
    // The message of the cause may contain a part of a key.
    throw new Error(
      'The keys that sign tokens cannot be read. Restore secrets/signingkeys from a backup, or remove the file to create new keys.',
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
  if (algorithm !== 'EdDSA' && algorithm !== 'RS256') throw new Error('unknown algorithm');
  if (typeof createdAt !== 'number' || typeof lifeMs !== 'number') throw new Error('createdAt or lifeMs is missing');
  if (until !== null && typeof until !== 'number') throw new Error('until is missing');
  if (typeof ahead !== 'number') throw new Error('ahead is invalid');
  if (typeof privateKey !== 'string') throw new Error('privateKey is missing');
  return { algorithm, createdAt, lifeMs, until, ahead, privateKey };
}
