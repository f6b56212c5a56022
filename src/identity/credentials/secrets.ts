/**
 * Secrets and their hashes. Passwords are hashed with scrypt, which is memory-hard and deliberately slow, so only a few hashes run at a time
 * and few may wait, in a fair queue: a flood of sign-ins takes bounded memory and does not keep disk operations out of the thread pool.
 * Generated secrets have 256 random bits and cannot be guessed: they are hashed with SHA-256 without waiting.
 */
import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { FairQueue, type Requester } from '../limits/fair-queue.ts';
import { isForeignHash, verifyForeign } from './foreign-hashes.ts';

/** 2^14 blocks of 8 × 128 bytes: 16 MiB and about 40 ms per hash. */
const LOG2_COST = 14;
const BLOCK_SIZE = 8;
const PARALLEL = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Longer secrets are rejected without hashing. */
const MAX_SECRET_CHARACTERS = 1024;
/** 256 waiting hashes take about five seconds. */
const LIMITS = { concurrency: 2, waiting: 256, waitingPerNetwork: 128 };
/** Maximum number of verified secrets in the cache. */
const MAX_CACHED = 10_000;
const FAST = /^sha256\$([\w-]+)\$([\w-]+)$/;

/** Generates a secret: 256 random bits as 43 characters that need no escaping in shells, URLs and forms. */
export function generateSecret(): string {
  return randomBytes(32).toString('base64url');
}

interface Parameters {
  cost: number;
  blockSize: number;
  parallel: number;
  salt: Buffer;
  hash: Buffer;
}

function encode({ salt, hash }: Pick<Parameters, 'salt' | 'hash'>): string {
  const parameters = `ln=${LOG2_COST},r=${BLOCK_SIZE},p=${PARALLEL}`;
  return `scrypt$${parameters}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

function decode(encoded: string): Parameters {
  const match = /^scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w-]+)\$([\w-]+)$/.exec(encoded);
  const [, ln, r, p, salt, hash] = match ?? [];
  if (salt === undefined || hash === undefined) throw new Error('a stored secret hash is in an unknown format');
  return {
    cost: 2 ** Number(ln),
    blockSize: Number(r),
    parallel: Number(p),
    salt: Buffer.from(salt, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
  };
}

/** A hash that no secret matches. Secrets of unknown ids are compared with it, so that a refusal takes as long as for a known id. */
const DUMMY_HASH = encode({ salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) });

/** The hash of a secret that `generateSecret` made: `sha256$salt$hash`. */
export function hashGenerated(secret: string): string {
  const salt = randomBytes(SALT_BYTES).toString('base64url');
  return `sha256$${salt}$${fastHash(secret, salt).toString('base64url')}`;
}

/** True for a hash of `hashGenerated`. */
export function isGeneratedHash(encoded: string): boolean {
  return FAST.test(encoded);
}

function fastHash(secret: string, salt: string): Buffer {
  return createHash('sha256').update(`${salt} ${secret}`).digest();
}

export class Secrets {
  readonly #queue = new FairQueue(LIMITS);
  /** HMACs of verified pairs of hash and secret. Their key exists only in memory. */
  readonly #verified = new Set<string>();
  readonly #cacheKey = randomBytes(32);

  /**
   * A salted hash of a chosen secret, including its parameters: `scrypt$ln=14,r=8,p=1$salt$hash`.
   * @throws LadingError `overloaded` when too many requests wait
   */
  async hash(secret: string, requester?: Requester): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const use = { cost: 2 ** LOG2_COST, blockSize: BLOCK_SIZE, parallel: PARALLEL, salt };
    return encode({ salt, hash: await this.#derive(secret, use, HASH_BYTES, requester) });
  }

  /**
   * True if the secret matches the hash. For null (unknown id) the result is false after the time that a chosen secret takes.
   * @throws LadingError `overloaded` when too many requests wait
   */
  async verify(secret: string, encoded: string | null, requester?: Requester): Promise<boolean> {
    if (secret.length > MAX_SECRET_CHARACTERS) return false;
    const [, salt, fast] = FAST.exec(encoded ?? '') ?? [];
    if (salt !== undefined && fast !== undefined) {
      const expected = Buffer.from(fast, 'base64url');
      const actual = fastHash(secret, salt);
      return expected.length === actual.length && timingSafeEqual(actual, expected);
    }
    if (encoded !== null && isForeignHash(encoded))
      return this.#queue.run(() => verifyForeign(secret, encoded), requester);
    const expected = decode(encoded ?? DUMMY_HASH);
    const actual = await this.#derive(secret, expected, expected.hash.length, requester);
    return timingSafeEqual(actual, expected.hash) && encoded !== null;
  }

  /**
   * Like `verify`, but caches matches, which are then accepted without waiting. For secrets that programs send with every request.
   */
  async verifyCached(secret: string, encoded: string | null, requester?: Requester): Promise<boolean> {
    if (secret.length > MAX_SECRET_CHARACTERS) return false;
    const proof = createHmac('sha256', this.#cacheKey).update(`${encoded} ${secret}`).digest('base64url');
    if (this.#verified.has(proof)) return true;
    if (!(await this.verify(secret, encoded, requester))) return false;
    if (this.#verified.size >= MAX_CACHED) this.#verified.clear();
    this.#verified.add(proof);
    return true;
  }

  #derive(secret: string, use: Omit<Parameters, 'hash'>, length: number, requester?: Requester): Promise<Buffer> {
    const { cost: N, blockSize: r, parallel: p, salt } = use;
    const maxmem = 256 * N * r;
    const derived = (): Promise<Buffer> =>
      new Promise((done, fail) => {
        scrypt(secret.normalize('NFC'), salt, length, { N, r, p, maxmem }, (error, key) =>
          error ? fail(error) : done(key),
        );
      });
    return this.#queue.run(derived, requester);
  }
}
