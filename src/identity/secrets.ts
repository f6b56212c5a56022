/**
 * Client secrets and their hashes. scrypt is memory-hard and slow on purpose, so only a few run at a time and few may wait: a flood
 * of sign-ins costs bounded memory and leaves the thread pool to the disk.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { LadingError } from '../errors.ts';

/** 2^14 blocks of 8 × 128 bytes: 16 MiB and about 40 ms a hash. Generated secrets have 256 bits, so no guesser gets near anyway. */
const LOG2_COST = 14;
const BLOCK_SIZE = 8;
const PARALLEL = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Longer ones are wrong without being hashed. */
const MOST_SECRET_CHARACTERS = 1024;
const AT_ONE_TIME = 2;
/** About five seconds of waiting; whoever comes later is sent away. */
const MOST_WAITING = 256;

/** 256 random bits as 43 characters that survive any shell, URL and form. */
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

/** A hash that no secret has, of the same price as a real one: what an unknown client's secret is compared with. */
const NOBODY = encode({ salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) });

export class Secrets {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** A salted hash that names its own parameters: `scrypt$ln=14,r=8,p=1$salt$hash`. */
  async hash(secret: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const hash = await this.#derive(
      secret,
      { cost: 2 ** LOG2_COST, blockSize: BLOCK_SIZE, parallel: PARALLEL, salt },
      HASH_BYTES,
    );
    return encode({ salt, hash });
  }

  /**
   * True when the secret belongs to the hash. With null (no such client) it takes as long and is false.
   * @throws LadingError `overloaded` when too many are waiting
   */
  async verify(secret: string, encoded: string | null): Promise<boolean> {
    if (secret.length > MOST_SECRET_CHARACTERS) return false;
    const expected = decode(encoded ?? NOBODY);
    const actual = await this.#derive(secret, expected, expected.hash.length);
    return timingSafeEqual(actual, expected.hash) && encoded !== null;
  }

  async #derive(secret: string, use: Omit<Parameters, 'hash'>, length: number): Promise<Buffer> {
    await this.#turn();
    const { cost: N, blockSize: r, parallel: p, salt } = use;
    const maxmem = 256 * N * r;
    try {
      return await new Promise<Buffer>((done, fail) => {
        scrypt(secret.normalize('NFC'), salt, length, { N, r, p, maxmem }, (error, key) =>
          error ? fail(error) : done(key),
        );
      });
    } finally {
      // The place is handed on, never free in between.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < AT_ONE_TIME) {
      this.#running += 1;
      return;
    }
    if (this.#waiting.length >= MOST_WAITING) {
      throw new LadingError('overloaded', 'Too many sign-ins at one time; try again shortly.', { retry_after: 5 });
    }
    await new Promise<void>((go) => this.#waiting.push(go));
  }
}
