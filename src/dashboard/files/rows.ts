/** What the list shows of all files. */
import type { FileStatus } from '../../client/client.ts';

export type SortKey = 'filename' | 'bytes_received' | 'updated_at';
export type Row = { folder: string } | { file: FileStatus };

export interface Wanted {
  folder: string;
  search: string;
  /** A status, or `parked`; empty: any. */
  state: string;
  sort: SortKey;
  down: boolean;
}

/** True for a file of this state: a status, `parked` for uploads to which nothing came for long, or empty for any. */
function isOf({ status, stale = false }: FileStatus, state: string): boolean {
  if (state === '') return true;
  return state === 'parked' ? stale : status === state && !stale;
}

/** Folders first; a search or a filter looks through everything below the folder. */
export function rowsOf(files: FileStatus[], { folder, search, state, sort, down }: Wanted): Row[] {
  const wanted = search.trim().toLowerCase();
  const flat = wanted !== '' || state !== '';
  const folders = new Set<string>();
  const found: FileStatus[] = [];
  for (const file of files) {
    if (!file.filename.startsWith(folder)) continue;
    const rest = file.filename.slice(folder.length);
    if (flat) {
      if (rest.toLowerCase().includes(wanted) && isOf(file, state)) found.push(file);
      continue;
    }
    const slash = rest.indexOf('/');
    if (slash < 0) found.push(file);
    else folders.add(rest.slice(0, slash));
  }
  const order = (a: FileStatus, b: FileStatus): number => {
    const [x, y] = [a[sort] ?? '', b[sort] ?? ''];
    return x < y ? -1 : x > y ? 1 : 0;
  };
  found.sort((a, b) => (down ? order(b, a) : order(a, b)));
  return [...[...folders].sort().map((name) => ({ folder: name })), ...found.map((file) => ({ file }))];
}
