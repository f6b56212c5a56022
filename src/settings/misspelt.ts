/** Finds the known name that is similar to an unknown one. */
import { distance } from 'fastest-levenshtein';

/** Longest name that is compared, in characters. */
const MAX_NAME = 40;

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

/**
 * Returns the known name that differs only in case, separators or a few characters. Returns null if no name does.
 * @param share one character in `share` may differ
 */
export function misspelt(name: string, known: readonly string[], share = 3): string | null {
  if (name.length > MAX_NAME) return null;
  const given = fold(name);
  const near = known
    .map((candidate) => ({ candidate, length: candidate.length, edits: distance(given, fold(candidate)) }))
    .filter(({ edits, length }) => edits <= Math.floor(Math.max(given.length, length) / share))
    .sort((a, b) => a.edits - b.edits);
  return near[0]?.candidate ?? null;
}

/** Like `misspelt`, but also accepts a known name that starts with the unknown one, or the reverse. */
export function nearest(name: string, known: readonly string[], share?: number): string | null {
  const given = fold(name);
  const sharesStart = (candidate: string): boolean => {
    const folded = fold(candidate);
    return given.length >= 3 && (folded.startsWith(given) || given.startsWith(folded));
  };
  return misspelt(name, known, share) ?? known.find(sharesStart) ?? null;
}
