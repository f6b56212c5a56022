/** Sizes as people write them. */
export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;
export const TIB = 1024 ** 4;

/**
 * Parses `1048576`, `512K`, `64MiB`, `1 GiB` or `5MB` to bytes. `K`, `M`, `G`, `T` and `KiB`, … are powers of 1024, `KB`, … of 1000.
 * Returns null for any other text. The result may be fractional or unsafe: `0.3K` is 307.2.
 */
export function bytesOf(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|b)?$/i.exec(text.trim());
  if (!match) return null;
  const step = match[3]?.toLowerCase() === 'b' ? 1000 : 1024;
  return Number(match[1]) * step ** ' kmgt'.indexOf(match[2]?.toLowerCase() ?? ' ');
}
