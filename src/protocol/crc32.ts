/**
 * CRC-32 as in zlib, PNG and Ethernet, for browsers, the command line and the server. The workers of the server have a faster
 * implementation, which must return the same values.
 */
import CRC32 from 'crc-32';

/** The polynomial, bit-reversed like everything here: bit 31 is the coefficient of x^0. */
const POLYNOMIAL = 0xedb88320;
/** The polynomial 1. */
const ONE = 0x80000000;
/** x has this order modulo the polynomial (it is primitive), so exponents count modulo 2^32 - 1. */
const ORDER = 2 ** 32 - 1;
/** `POWERS[k]` is x^(2^k) modulo the polynomial. */
const POWERS = powersOfX();

/** Returns the CRC-32 of `bytes` as an unsigned number. `seed` is the CRC-32 of the bytes before them. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return CRC32.buf(bytes, seed) >>> 0;
}

/**
 * Returns the CRC-32 of A followed by B, given the CRC-32 of each and the length of B in bytes (0 to 2^53).
 * Appending n bytes multiplies A's remainder by x^(8n), which takes at most 32 multiplications for any n.
 */
export function crc32Combine(a: number, b: number, lengthOfB: number): number {
  return (multiply(powerOfX(lengthOfB), a) ^ b) >>> 0;
}

/** Formats a CRC-32 as eight lower-case hexadecimal digits. */
export function hex32(n: number): string {
  return (n >>> 0).toString(16).padStart(8, '0');
}

/** Parses eight hexadecimal digits of either case. Returns null for any other text. */
export function parseHex32(s: string): number | null {
  return /^[0-9a-f]{8}$/i.test(s) ? Number.parseInt(s, 16) : null;
}

/** Product of two polynomials over GF(2), modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let rest = a | 0; rest !== 0; rest <<= 1) {
    // Negative: bit 31 is set, so this power of x is in `a`.
    if (rest < 0) product ^= factor;
    factor = (factor >>> 1) ^ (POLYNOMIAL & -(factor & 1));
  }
  return product;
}

/** x^(8 * bytes) modulo the polynomial. */
function powerOfX(bytes: number): number {
  // 8 * bytes may exceed 2^53, its remainder does not. Bit operators use 32 bits, and the remainder has no more.
  const exponent = ((bytes % ORDER) * 8) % ORDER;
  let power = ONE;
  let k = 0;
  for (let rest = exponent | 0; rest !== 0; rest >>>= 1) {
    if ((rest & 1) !== 0) power = multiply(power, POWERS[k] ?? 0);
    k += 1;
  }
  return power;
}

function powersOfX(): Int32Array {
  const powers = new Int32Array(32);
  let power = ONE >>> 1;
  for (let k = 0; k < 32; k += 1) {
    powers[k] = power;
    power = multiply(power, power);
  }
  return powers;
}
