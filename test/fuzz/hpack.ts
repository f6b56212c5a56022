/** Decodes the status of a response from its HPACK header block (RFC 7541). */

/** Statuses of the static table of HPACK, from index 8. */
const INDEXED = [200, 204, 206, 304, 400, 404, 500];
/** Digits in the Huffman code of HPACK: the first three have five bits, the others six (RFC 7541, Appendix B). */
const SHORT_DIGITS = 3;

/** The status, which is the first field of a response; null for trailers. */
export function statusOf(block: Buffer): number | null {
  let at = 0;
  while (((block[at] ?? 0) & 0xe0) === 0x20) at += 1;
  const first = block[at] ?? 0;
  if (first >= 0x88 && first <= 0x8e) return INDEXED[first - 0x88] ?? null;
  const named = first & 0x40 ? first & 0x3f : first & 0x0f;
  if (named < 8 || named > 14) return null;
  const length = block[at + 1] ?? 0;
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number(length & 0x80 ? unpackedDigits(value) : value.toString('latin1'));
}

function unpackedDigits(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let digits = '';
  for (let at = 0; digits.length < 3; ) {
    const short = Number.parseInt(bits.slice(at, at + 5), 2);
    if (short < SHORT_DIGITS) {
      digits += short;
      at += 5;
    } else {
      // `3` is 011001.
      digits += Number.parseInt(bits.slice(at, at + 6), 2) - 0b011001 + 3;
      at += 6;
    }
  }
  return digits;
}
