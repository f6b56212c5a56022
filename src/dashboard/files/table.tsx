/** The list of files: only what is in sight is in the page, however many there are. */
import { useMemo, useState } from 'preact/hooks';
import type { FileStatus } from '../../client/client.ts';
import { percentOf } from '../../protocol/schemas/progress.ts';
import { parkedUntil, size, time } from '../format.ts';
import { type Row, rowsOf, type SortKey } from './rows.ts';

const ROW_HEIGHT = 44;
/** Rows beside the visible ones that are there already when somebody scrolls. */
const OVERSCAN_ROWS = 8;

interface TableProps {
  files: FileStatus[] | null;
  mayDelete: boolean;
  onOpen(file: FileStatus): void;
  onDownload(files: FileStatus[]): void;
  onRemove(files: FileStatus[]): void;
}

export function FileTable({ files, mayDelete, onOpen, onDownload, onRemove }: TableProps) {
  const [search, setSearch] = useState('');
  const [state, setState] = useState('');
  const [folder, setFolder] = useState('');
  const [sort, setSort] = useState<SortKey>('filename');
  const [down, setDown] = useState(false);
  const [top, setTop] = useState(0);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [last, setLast] = useState<string | null>(null);
  const rows = useMemo(
    () => rowsOf(files ?? [], { folder, search, state, sort, down }),
    [files, folder, search, state, sort, down],
  );
  const shown = useMemo(() => rows.flatMap((row) => ('file' in row ? [row.file] : [])), [rows]);
  const picked = shown.filter(({ filename }) => chosen.has(filename));
  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - OVERSCAN_ROWS);
  const visible = rows.slice(first, first + Math.ceil(window.innerHeight / ROW_HEIGHT) + 2 * OVERSCAN_ROWS);
  const choose = (name: string, on: boolean, range: boolean) => {
    const next = new Set(chosen);
    const names = shown.map(({ filename }) => filename);
    const [a, b] = [names.indexOf(last ?? ''), names.indexOf(name)];
    const several = range && a >= 0 ? names.slice(Math.min(a, b), Math.max(a, b) + 1) : [name];
    for (const one of several) {
      if (on) next.add(one);
      else next.delete(one);
    }
    setChosen(next);
    setLast(name);
  };
  const by = (key: SortKey, title: string) => (
    <button
      type="button"
      aria-pressed={sort === key}
      onClick={() => {
        setDown(sort === key && !down);
        setSort(key);
      }}
    >
      {`${title}${sort === key ? (down ? ' ↓' : ' ↑') : ''}`}
    </button>
  );
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
          <option value="partial">on their way</option>
          <option value="parked">parked</option>
        </select>
        {by('filename', 'Name')}
        {by('bytes_received', 'Size')}
        {by('updated_at', 'Changed')}
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
            aria-label="Choose all that are shown"
            checked={picked.length > 0 && picked.length === shown.length}
            onChange={(event) =>
              setChosen(new Set(event.currentTarget.checked ? shown.map(({ filename }) => filename) : []))
            }
          />
        </label>
        <span class="name">{folder || 'All files'}</span>
        {picked.length > 0 && (
          <>
            <span class="quiet">{`${picked.length} chosen`}</span>
            <button type="button" onClick={() => onDownload(picked.filter(({ readable }) => readable))}>
              Download
            </button>
            {mayDelete && (
              <button type="button" class="danger" onClick={() => onRemove(picked)}>
                Delete
              </button>
            )}
          </>
        )}
        <span class="quiet" role="status">
          {files === null ? 'Loading …' : rows.length === 1 ? '1 entry' : `${rows.length} entries`}
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section class="list" tabIndex={0} aria-label="List" onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        {files !== null && rows.length === 0 && (
          <p class="quiet empty">
            {search || state ? 'Nothing is like that.' : 'There is nothing here yet. Drop a file above.'}
          </p>
        )}
        <ul class="rows" style={{ height: `${rows.length * ROW_HEIGHT}px` }}>
          {visible.map((row, index) => (
            <FileRow
              key={'folder' in row ? `${row.folder}/` : row.file.filename}
              row={row}
              top={(first + index) * ROW_HEIGHT}
              folder={folder}
              chosen={'file' in row && chosen.has(row.file.filename)}
              mayDelete={mayDelete}
              onEnter={(name) => setFolder(`${folder}${name}/`)}
              onChoose={choose}
              onOpen={onOpen}
              onDownload={onDownload}
              onRemove={onRemove}
            />
          ))}
        </ul>
      </section>
    </section>
  );
}

interface LineProps extends Pick<TableProps, 'mayDelete' | 'onOpen' | 'onDownload' | 'onRemove'> {
  row: Row;
  top: number;
  folder: string;
  chosen: boolean;
  onEnter(folder: string): void;
  onChoose(name: string, on: boolean, range: boolean): void;
}

function FileRow({ row, top, folder, chosen, mayDelete, onEnter, onChoose, onOpen, onDownload, onRemove }: LineProps) {
  const style = { top: `${top}px` };
  if ('folder' in row) {
    return (
      <li class="row" style={style}>
        <span />
        <span class="name">
          <button type="button" onClick={() => onEnter(row.folder)}>{`${row.folder}/`}</button>
        </span>
      </li>
    );
  }
  const { file } = row;
  const { filename } = file;
  return (
    <li class="row" style={style} data-name={filename}>
      <input
        type="checkbox"
        aria-label={`Choose ${filename}`}
        checked={chosen}
        onClick={(event) => onChoose(filename, event.currentTarget.checked, event.shiftKey)}
      />
      <span class="name" title={filename}>
        <button type="button" onClick={() => onOpen(file)}>
          {filename.slice(folder.length)}
        </button>
      </span>
      <span>{size(file.status === 'complete' ? file.total_bytes : file.bytes_received)}</span>
      <span class="state">{stateOf(file)}</span>
      {file.stale ? (
        <span class="parked quiet" title={parkedUntil(file)}>
          {parkedUntil(file)}
        </span>
      ) : (
        <span class="when quiet">{time(file.updated_at)}</span>
      )}
      <span class="acts">
        {file.readable && (
          <button type="button" aria-label={`Download ${filename}`} onClick={() => onDownload([file])}>
            ↓
          </button>
        )}
        {mayDelete && (
          <button type="button" aria-label={`Delete ${filename}`} onClick={() => onRemove([file])}>
            ✕
          </button>
        )}
      </span>
    </li>
  );
}

function stateOf(file: FileStatus): string {
  if (file.status === 'complete') return 'complete';
  if (file.damaged) return 'damaged: bytes are lost';
  const percent = percentOf(file);
  if (file.stale) return percent === null ? 'parked' : `parked at ${percent} %`;
  return percent === null ? 'receiving' : `${percent} % received`;
}
