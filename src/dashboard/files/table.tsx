/** The list of files. It renders only the visible rows, however many files there are. */
import { useMemo, useState } from 'preact/hooks';
import type { FileStatus } from '../../client/client.ts';
import { type FileActions, FileRow } from './row.tsx';
import { type Row, rowsOf, type SortKey } from './rows.ts';
import { useSelection } from './selection.ts';

/** Pixels; the style sheet has the same value. */
const ROW_HEIGHT = 44;
/** Rows to render above and below the visible ones, for scrolling. */
const OVERSCAN_ROWS = 8;

interface TableProps extends FileActions {
  files: FileStatus[] | null;
}

interface Order {
  key: SortKey;
  down: boolean;
}

export function FileTable({ files, ...actions }: TableProps) {
  const [search, setSearch] = useState('');
  const [state, setState] = useState('');
  const [folder, setFolder] = useState('');
  const [order, setOrder] = useState<Order>({ key: 'filename', down: false });
  const rows = useMemo(
    () => rowsOf(files ?? [], { folder, search, state, sort: order.key, down: order.down }),
    [files, folder, search, state, order],
  );
  const shown = useMemo(() => rows.flatMap((row) => ('file' in row ? [row.file] : [])), [rows]);
  const selection = useSelection(shown.map(({ filename }) => filename));
  const picked = shown.filter(({ filename }) => selection.has(filename));
  return (
    <section aria-label="Files">
      <div class="bar">
        <input
          class="grow"
          type="search"
          aria-label="Search files"
          placeholder="Search"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <select aria-label="State" value={state} onChange={(event) => setState(event.currentTarget.value)}>
          <option value="">all</option>
          <option value="complete">complete</option>
          <option value="partial">in progress</option>
          <option value="parked">parked</option>
        </select>
        <OrderButtons order={order} onOrder={setOrder} />
      </div>
      <div class="bar">
        {folder !== '' && (
          <button type="button" onClick={() => setFolder(folder.replace(/[^/]*\/$/, ''))}>
            ← Up
          </button>
        )}
        <label class="choice">
          <input
            type="checkbox"
            aria-label="Select all"
            checked={picked.length > 0 && picked.length === shown.length}
            onChange={(event) => selection.setAll(event.currentTarget.checked)}
          />
        </label>
        <span class="name">{folder || 'All files'}</span>
        {picked.length > 0 && <SelectionActions picked={picked} {...actions} />}
        <span class="quiet" role="status">
          {files === null ? 'Loading …' : rows.length === 1 ? '1 entry' : `${rows.length} entries`}
        </span>
      </div>
      <Rows
        rows={rows}
        folder={folder}
        empty={files === null ? null : search || state ? 'No files match.' : 'There are no files. Drop a file above.'}
        selection={selection}
        onEnter={(name) => setFolder(`${folder}${name}/`)}
        {...actions}
      />
    </section>
  );
}

const ORDERS: readonly (readonly [SortKey, string])[] = [
  ['filename', 'Name'],
  ['bytes_received', 'Size'],
  ['updated_at', 'Changed'],
];

function OrderButtons({ order: { key, down }, onOrder }: { order: Order; onOrder(order: Order): void }) {
  return (
    <>
      {ORDERS.map(([one, title]) => (
        <button
          key={one}
          type="button"
          aria-pressed={key === one}
          onClick={() => onOrder({ key: one, down: key === one && !down })}
        >
          {`${title}${key === one ? (down ? ' ↓' : ' ↑') : ''}`}
        </button>
      ))}
    </>
  );
}

function SelectionActions({ picked, mayDelete, onDownload, onRemove }: FileActions & { picked: FileStatus[] }) {
  return (
    <>
      <span class="quiet">{`${picked.length} selected`}</span>
      <button type="button" onClick={() => onDownload(picked.filter(({ readable }) => readable))}>
        Download
      </button>
      {mayDelete && (
        <button type="button" class="danger" onClick={() => onRemove(picked)}>
          Delete
        </button>
      )}
    </>
  );
}

interface RowsProps extends FileActions {
  rows: Row[];
  folder: string;
  /** Text for an empty list; null while it loads. */
  empty: string | null;
  selection: ReturnType<typeof useSelection>;
  onEnter(folder: string): void;
}

function Rows({ rows, folder, empty, selection, onEnter, ...actions }: RowsProps) {
  const [top, setTop] = useState(0);
  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN_ROWS);
  const visible = rows.slice(first, first + Math.ceil(window.innerHeight / ROW_HEIGHT) + 2 * OVERSCAN_ROWS);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section class="list" tabIndex={0} aria-label="List" onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
      {empty !== null && rows.length === 0 && <p class="quiet empty">{empty}</p>}
      <ul class="rows" style={{ height: `${rows.length * ROW_HEIGHT}px` }}>
        {visible.map((row, index) => (
          <FileRow
            key={'folder' in row ? `${row.folder}/` : row.file.filename}
            row={row}
            top={(first + index) * ROW_HEIGHT}
            folder={folder}
            selected={'file' in row && selection.has(row.file.filename)}
            onEnter={onEnter}
            onSelect={selection.set}
            {...actions}
          />
        ))}
      </ul>
    </section>
  );
}
