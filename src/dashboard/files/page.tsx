/** The files of whoever is signed in, and what this page moves. */
import { useState } from 'preact/hooks';
import type { FileStatus } from '../../client/client.ts';
import { messageOf } from '../format.ts';
import type { PageProps } from '../page.ts';
import { ErrorMessage } from '../parts.tsx';
import { cancelUpload } from '../uploads.ts';
import { Details } from './details.tsx';
import { Picker } from './picker.tsx';
import { FileTable } from './table.tsx';
import { TransferList } from './transfer-list.tsx';
import { useLiveFiles } from './use-files.ts';

export function FilesPage(page: PageProps) {
  const { who, onEnded, transfers: moves, tasks } = page;
  const [error, setError] = useState<string | null>(null);
  const [open, setOpen] = useState<string | null>(null);
  const files = useLiveFiles(who, onEnded, setError);
  const may = (scope: string) => who.rights.scopes.includes(scope);
  const remove = (chosen: FileStatus[]) => {
    if (chosen.length === 0 || !confirm(questionOf(chosen))) return;
    for (const file of chosen) {
      // What was an upload when the question was asked may be a complete file by now, which was not asked about.
      const done = file.status === 'complete' ? who.client.remove(file.filename) : cancelUpload(page, file);
      done.catch((problem) => setError(messageOf(problem)));
    }
  };
  return (
    <main>
      {may('files:write') && (
        <Picker
          onPick={(picked) => {
            for (const { file, name } of picked) moves.upload(file, name);
          }}
        />
      )}
      <TransferList tasks={tasks} moves={moves} />
      <ErrorMessage>{error}</ErrorMessage>
      <FileTable
        files={files}
        mayDelete={may('files:delete')}
        onOpen={({ filename }) => setOpen(filename)}
        onDownload={(chosen) => {
          for (const { filename, total_bytes } of chosen) moves.download(filename, total_bytes);
        }}
        onRemove={remove}
      />
      {open !== null && <Details key={open} page={page} name={open} onClose={() => setOpen(null)} />}
    </main>
  );
}

/** What deleting these files does: complete ones are deleted, of the others only the unfinished upload. */
function questionOf(chosen: FileStatus[]): string {
  const files = chosen.filter(({ status }) => status === 'complete');
  const uploads = chosen.filter(({ status }) => status !== 'complete');
  const kept = uploads.some(({ readable }) => readable) ? ' Stored files are kept.' : '';
  const [one] = chosen;
  if (chosen.length === 1 && one) {
    if (one.status === 'complete') return `Delete ${one.filename}?`;
    return `Cancel the upload of ${one.filename}?${kept}`;
  }
  if (uploads.length === 0) return `Delete these ${files.length} files?`;
  if (files.length === 0) return `Cancel these ${uploads.length} uploads?${kept}`;
  return `Delete ${files.length} files and cancel ${uploads.length} uploads?${kept}`;
}
