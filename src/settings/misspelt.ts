/** Which known name was meant by one that is not known. */
import { distance } from 'fastest-levenshtein';

/** Characters of a name at most; longer ones are not compared. */
const MAX_NAME = 40;

function fold(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}

/**
 * The known name that differs from this one by case, separators or typing errors alone; null when none does.
 * @param share one character of so many may differ
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

/** The known name that was probably meant: misspelt, or one of the two begins with the other. */
export function nearest(name: string, known: readonly string[], share?: number): string | null {
  const given = fold(name);
  const begins = (candidate: string): boolean => {
    const folded = fold(candidate);
    return given.length >= 3 && (folded.startsWith(given) || given.startsWith(folded));
  };
  return misspelt(name, known, share) ?? known.find(begins) ?? null;
}
