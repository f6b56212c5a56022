/** Numbered names for files whose name is taken: `a.bin`, `a (2).bin`, `a (3).bin`, … */
import type { Catalog } from '../../contracts/catalog.ts';
import { cutText, MAX_NAME_BYTES } from '../../protocol/names.ts';
import type { UploadTable } from '../uploads/upload-table.ts';

/** Maximum number of names to try while concurrent requests take them. */
const MAX_TRIES = 1_000;
/** Maximum length of an extension. Longer text after the last dot belongs to the stem. */
const MAX_EXTENSION_BYTES = 32;

/** The name with a number added. Shortens the stem of a name that is too long; null when no stem would be left. */
export function numbered(name: string, count: number): string | null {
  const slash = name.lastIndexOf('/') + 1;
  const dot = name.lastIndexOf('.');
  const at = dot > slash && Buffer.byteLength(name.slice(dot)) <= MAX_EXTENSION_BYTES ? dot : name.length;
  const end = ` (${count})${name.slice(at)}`;
  const kept = cutText(name.slice(0, at), MAX_NAME_BYTES - Buffer.byteLength(end));
  // Never shorten the directory part, or the file would move to another directory.
  return kept.length <= slash ? null : kept + end;
}

/**
 * Names to try in order: the name itself, the base, then the base with a number. If thousands of names are taken,
 * only a few are looked up: the number doubles until one is free, and bisection finds the last taken number before it. A number that was
 * freed in between may stay unused.
 * @param baseOf makes the base to which numbers are added
 */
export async function* freeNames(
  { uploads, catalog }: { uploads: UploadTable; catalog: Catalog },
  { owner, name }: { owner: string; name: string },
  baseOf = (unchanged: string): string => unchanged,
): AsyncGenerator<string, void> {
  yield name;
  const base = baseOf(name);
  if (base !== name) yield base;
  const isFree = async (count: number): Promise<boolean> => {
    const candidate = numbered(base, count);
    if (candidate === null) return true;
    return !uploads.find(owner, candidate) && !(await catalog.find(owner, candidate)).sealed;
  };
  let taken = 1;
  let free = 2;
  while (!(await isFree(free))) {
    taken = free;
    free *= 2;
  }
  while (free - taken > 1) {
    const middle = Math.floor((taken + free) / 2);
    if (await isFree(middle)) free = middle;
    else taken = middle;
  }
  for (let count = free; count < free + MAX_TRIES; count += 1) {
    const candidate = numbered(base, count);
    if (candidate === null) return;
    yield candidate;
  }
}
