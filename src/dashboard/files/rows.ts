/** The rows of the list of files: folders, search, filter and order. */
import type { FileStatus } from '../../client/client.ts';

export type SortKey = 'filename' | 'bytes_received' | 'updated_at';
/** A folder, or a file of the current folder. */
export type Row = { folder: string } | { file: FileStatus };

/** What the list shows, and in which order. */
export interface View {
  folder: string;
  search: string;
  /** A status, or `parked`; empty: any. */
  state: string;
  sort: SortKey;
  down: boolean;
}

/** True if the file has this state: a status, `parked`, or empty for any. */
function hasState({ status, stale = false }: FileStatus, state: string): boolean {
  if (state === '') return true;
  return state === 'parked' ? stale : status === state && !stale;
}

/** Lists folders first. A search or filter covers everything below the folder. */
export function rowsOf(files: FileStatus[], { folder, search, state, sort, down }: View): Row[] {
  const term = search.trim().toLowerCase();
  const flat = term !== '' || state !== '';
  const folders = new Set<string>();
  const found: FileStatus[] = [];
  for (const file of files) {
    if (!file.filename.startsWith(folder)) continue;
    const rest = file.filename.slice(folder.length);
    if (flat) {
      if (rest.toLowerCase().includes(term) && hasState(file, state)) found.push(file);
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
