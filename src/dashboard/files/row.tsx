/** One row of the list of files: a folder or a file. */
import type { FileStatus } from '../../client/client.ts';
import { percentOf } from '../../protocol/schemas/progress.ts';
import { parkedNote, size, time } from '../format.ts';
import type { Row } from './rows.ts';

/** Actions on files. */
export interface FileActions {
  mayDelete: boolean;
  onOpen(file: FileStatus): void;
  onDownload(files: FileStatus[]): void;
  onRemove(files: FileStatus[]): void;
}

interface FileRowProps extends FileActions {
  row: Row;
  top: number;
  folder: string;
  selected: boolean;
  onEnter(folder: string): void;
  onSelect(name: string, on: boolean, range: boolean): void;
}

export function FileRow({
  row,
  top,
  folder,
  selected,
  mayDelete,
  onEnter,
  onSelect,
  onOpen,
  onDownload,
  onRemove,
}: FileRowProps) {
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
        aria-label={`Select ${filename}`}
        checked={selected}
        onClick={(event) => onSelect(filename, event.currentTarget.checked, event.shiftKey)}
      />
      <span class="name" title={filename}>
        <button type="button" onClick={() => onOpen(file)}>
          {filename.slice(folder.length)}
        </button>
      </span>
      <span>{size(file.status === 'complete' ? file.total_bytes : file.bytes_received)}</span>
      <span class="state">{stateOf(file)}</span>
      {file.stale ? (
        <span class="parked quiet" title={parkedNote(file)}>
          {parkedNote(file)}
        </span>
      ) : (
        <span class="when quiet">{time(file.updated_at)}</span>
      )}
      <span class="actions">
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
  if (file.damaged) return 'damaged';
  const percent = percentOf(file);
  if (file.stale) return percent === null ? 'parked' : `parked at ${percent} %`;
  return percent === null ? 'receiving' : `${percent} % received`;
}
