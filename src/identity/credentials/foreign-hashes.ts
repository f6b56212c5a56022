/**
 * Secret hashes in the format of werkzeug, for devices that were imported from an older server: `METHOD$SALT$HEX` with the methods
 * `pbkdf2:HASH:ITERATIONS` and `scrypt:N:r:p`. The salt is used as text.
 */
import { pbkdf2, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const PBKDF2 = /^pbkdf2:(sha1|sha256|sha512):(\d{1,8})\$([^$]{1,128})\$((?:[0-9a-f]{2}){16,128})$/;
const SCRYPT = /^scrypt:(\d{1,7}):(\d{1,3}):(\d{1,3})\$([^$]{1,128})\$((?:[0-9a-f]{2}){16,128})$/;
/** More iterations would block a thread for seconds. */
const MAX_ITERATIONS = 10_000_000;
/** In bytes. The default parameters of werkzeug take 32 MiB. */
const MAX_MEMORY = 256 * 1024 ** 2;

/** True for a hash that `verifyForeign` can check. */
export function isForeignHash(encoded: string): boolean {
  const [, , iterations] = PBKDF2.exec(encoded) ?? [];
  if (iterations !== undefined) return Number(iterations) >= 1 && Number(iterations) <= MAX_ITERATIONS;
  const [, n, r, p] = SCRYPT.exec(encoded) ?? [];
  if (n === undefined) return false;
  const cost = Number(n);
  const memory = 128 * cost * Number(r);
  return (
    cost > 1 && Number.isInteger(Math.log2(cost)) && Number(r) > 0 && Number(p) > 0 && memory * Number(p) <= MAX_MEMORY
  );
}

/** True if the secret matches the hash. Takes as long as the parameters of the hash demand. */
export async function verifyForeign(secret: string, encoded: string): Promise<boolean> {
  if (!isForeignHash(encoded)) return false;
  const [, digest, iterations, salt, hex] = PBKDF2.exec(encoded) ?? [];
  if (digest !== undefined && salt !== undefined && hex !== undefined) {
    const expected = Buffer.from(hex, 'hex');
    const actual = await promisify(pbkdf2)(secret, salt, Number(iterations), expected.length, digest);
    return timingSafeEqual(actual, expected);
  }
  const [, n, r, p, text = '', hash = ''] = SCRYPT.exec(encoded) ?? [];
  const expected = Buffer.from(hash, 'hex');
  const options = { N: Number(n), r: Number(r), p: Number(p), maxmem: 2 * MAX_MEMORY };
  const actual = await new Promise<Buffer>((done, fail) => {
    scrypt(secret, text, expected.length, options, (error, key) => (error ? fail(error) : done(key)));
  });
  return timingSafeEqual(actual, expected);
}
