/** The files of whoever is signed in, as they change, and what this page moves. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { FileStatus } from '../client/client.ts';
import { LadingError } from '../errors.ts';
import { duration, size, time, words } from './format.ts';
import type { PageProps } from './pages.ts';
import type { SignedIn } from './session.ts';
import { type Task, Transfers } from './transfers.ts';

const ROW = 44;
/** Rows beside the visible ones that are there already when somebody scrolls. */
const SPARE = 8;
/** Files a page of the listing. */
const PAGE = 1000;

const SHOWN = ['file.created', 'chunk.received', 'file.completed', 'file.deleted', 'upload.expired'] as const;

type SortKey = 'filename' | 'bytes_received' | 'updated_at';
type Row = { folder: string } | { file: FileStatus };

export function FilesPage({ who, onEnded }: PageProps) {
  const [tasks, setTasks] = useState<Task[]>([]);
  const [error, setError] = useState<string | null>(null);
  const transfers = useRef<Transfers | null>(null);
  useEffect(() => {
    const made = new Transfers(who, setTasks);
    transfers.current = made;
    return () => made.end();
  }, [who]);
  const files = useLiveFiles(who, onEnded, setError);
  const remove = (file: FileStatus) => {
    const text = file.status === 'complete' ? `Delete ${file.filename}?` : `Cancel the upload of ${file.filename}?`;
    if (confirm(text)) who.client.remove(file.filename).catch((problem) => setError(words(problem)));
  };
  return (
    <main>
      <Picker onFile={(file, name) => transfers.current?.upload(file, name)} />
      <Tasks tasks={tasks} transfers={transfers.current} />
      <p role="alert" class="bad">
        {error}
      </p>
      <FileTable
        files={files}
        onDownload={(file) => transfers.current?.download(file.filename, file.total_bytes)}
        onRemove={remove}
      />
    </main>
  );
}

/** Everything once, then whatever the server tells of; from the beginning again whenever something was missed. */
function useLiveFiles(who: SignedIn, onEnded: (why: string) => void, onError: (why: string | null) => void) {
  const [files, setFiles] = useState<FileStatus[] | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const { signal } = stop;
    const known = new Map<string, FileStatus>();
    const stale = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => setFiles([...known.values()]);
    const refresh = async () => {
      timer = undefined;
      const names = [...stale];
      stale.clear();
      for (const name of names) {
        const file = await who.client.status(name, { signal });
        if (file.id === null) known.delete(name);
        else known.set(name, file);
      }
      show();
    };
    const load = async () => {
      known.clear();
      for await (const file of who.client.list({ limit: PAGE, signal })) known.set(file.filename, file);
      show();
    };
    const missed = () => {
      if (!signal.aborted) load().catch(() => {});
    };
    const follow = async () => {
      for (let pause = 500; !signal.aborted; pause = Math.min(pause * 2, 15_000)) {
        try {
          // Listened to first, asked then: nothing in between is missed.
          const events = who.client.events({ types: SHOWN, signal });
          const first = events.next();
          first.catch(() => {});
          await load();
          onError(null);
          pause = 500;
          for (let next = await first; !next.done; next = await events.next()) {
            const event = next.value;
            if (event.type === 'lost') await load();
            else if (event.filename !== null && event.owner === who.subject) {
              stale.add(event.filename);
              timer ??= setTimeout(() => refresh().catch(missed), 250);
            }
          }
        } catch (problem) {
          if (signal.aborted) return;
          if (problem instanceof LadingError && problem.code === 'unauthorized') {
            onEnded('The sign-in has ended; sign in again.');
            return;
          }
          onError(`${words(problem)} Trying again …`);
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    };
    void follow();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [who]);
  return files;
}

function Picker({ onFile }: { onFile(file: File, name: string): void }) {
  const [over, setOver] = useState(false);
  const take = (list: FileList | null | undefined) => {
    for (const file of list ?? []) onFile(file, file.webkitRelativePath || file.name);
  };
  return (
    <section
      aria-label="Upload"
      class={over ? 'drop over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer?.files);
      }}
    >
      <label>
        Upload files: drop them here or pick them. Picked again after an interruption, a file goes on where it was.
        <input
          type="file"
          multiple
          onChange={(event) => {
            take(event.currentTarget.files);
            event.currentTarget.value = '';
          }}
        />
      </label>
    </section>
  );
}

const STATES: Record<Task['state'], string> = { running: '', paused: 'Paused', done: 'Done', failed: 'Failed' };

function Tasks({ tasks, transfers }: { tasks: Task[]; transfers: Transfers | null }) {
  return (
    <ul class="tasks" aria-label="Transfers of this page">
      {tasks.map((task) => (
        <li key={task.id} data-state={task.state}>
          <span class="name">{`${task.kind === 'upload' ? '↑' : '↓'} ${task.name}`}</span>
          <progress value={task.bytes} max={task.total || 1} aria-label={`Progress of ${task.name}`} />
          <span class="quiet">
            {STATES[task.state] || `${size(task.bytes)} · ${size(task.rate)}/s · ${duration(task.left ?? Infinity)}`}
          </span>
          <span class={task.state === 'failed' ? 'bad' : 'quiet'}>{task.note}</span>
          {task.state === 'running' && (
            <button type="button" onClick={() => transfers?.pause(task.id)}>
              Pause
            </button>
          )}
          {(task.state === 'paused' || task.state === 'failed') && (
            <button type="button" onClick={() => transfers?.goOn(task.id)}>
              Go on
            </button>
          )}
          <button type="button" onClick={() => transfers?.forget(task.id)}>
            Take off the list
          </button>
        </li>
      ))}
    </ul>
  );
}

interface TableProps {
  files: FileStatus[] | null;
  onDownload(file: FileStatus): void;
  onRemove(file: FileStatus): void;
}

function FileTable({ files, onDownload, onRemove }: TableProps) {
  const [search, setSearch] = useState('');
  const [folder, setFolder] = useState('');
  const [sort, setSort] = useState<SortKey>('filename');
  const [down, setDown] = useState(false);
  const [top, setTop] = useState(0);
  const rows = useMemo(() => rowsOf(files ?? [], folder, search, sort, down), [files, folder, search, sort, down]);
  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const visible = rows.slice(first, first + Math.ceil(window.innerHeight / ROW) + 2 * SPARE);
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
        <span class="name">{folder || 'All files'}</span>
        <span class="quiet" role="status">
          {files === null ? 'Loading …' : rows.length === 1 ? '1 entry' : `${rows.length} entries`}
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section class="list" tabIndex={0} aria-label="List" onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        <ul class="rows" style={{ height: `${rows.length * ROW}px` }}>
          {visible.map((row, index) => {
            const style = { top: `${(first + index) * ROW}px` };
            if ('folder' in row) {
              return (
                <li class="row" style={style} key={`${row.folder}/`}>
                  <span class="name">
                    <button
                      type="button"
                      onClick={() => setFolder(`${folder}${row.folder}/`)}
                    >{`${row.folder}/`}</button>
                  </span>
                </li>
              );
            }
            const { file } = row;
            return (
              <li class="row" style={style} key={file.filename} data-name={file.filename}>
                <span class="name" title={file.filename}>
                  {file.filename.slice(folder.length)}
                </span>
                <span>{size(file.status === 'complete' ? file.total_bytes : file.bytes_received)}</span>
                <span class="state">{file.status === 'complete' ? 'complete' : share(file)}</span>
                <span class="when quiet">{time(file.updated_at)}</span>
                <span class="acts">
                  {file.readable && (
                    <button type="button" aria-label={`Download ${file.filename}`} onClick={() => onDownload(file)}>
                      ↓
                    </button>
                  )}
                  <button type="button" aria-label={`Delete ${file.filename}`} onClick={() => onRemove(file)}>
                    ✕
                  </button>
                </span>
              </li>
            );
          })}
        </ul>
      </section>
    </section>
  );
}

function share({ bytes_received, total_bytes }: FileStatus): string {
  return total_bytes ? `${Math.floor((100 * bytes_received) / total_bytes)} % received` : 'receiving';
}

/** Folders first; a search looks through everything below the folder. */
function rowsOf(files: FileStatus[], folder: string, search: string, sort: SortKey, down: boolean): Row[] {
  const wanted = search.trim().toLowerCase();
  const folders = new Set<string>();
  const found: FileStatus[] = [];
  for (const file of files) {
    if (!file.filename.startsWith(folder)) continue;
    const rest = file.filename.slice(folder.length);
    if (wanted !== '') {
      if (rest.toLowerCase().includes(wanted)) found.push(file);
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
