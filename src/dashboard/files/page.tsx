/** The files page: upload area, transfers and the list of files. */
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
  const { session, onEnded, transfers, tasks } = page;
  const [error, setError] = useState<string | null>(null);
  const [open, setOpen] = useState<string | null>(null);
  const files = useLiveFiles(session, onEnded, setError);
  const may = (scope: string) => session.rights.scopes.includes(scope);
  const remove = (selected: FileStatus[]) => {
    if (selected.length === 0 || !confirm(questionOf(selected))) return;
    for (const file of selected) {
      // The upload may be complete by now. The user did not agree to delete a complete file, so cancel only the upload.
      const done = file.status === 'complete' ? session.client.remove(file.filename) : cancelUpload(page, file);
      done.catch((problem) => setError(messageOf(problem)));
    }
  };
  return (
    <main>
      {may('files:write') && (
        <Picker
          onPick={(picked) => {
            for (const { file, name } of picked) transfers.upload(file, name);
          }}
        />
      )}
      <TransferList tasks={tasks} transfers={transfers} />
      <ErrorMessage>{error}</ErrorMessage>
      <FileTable
        files={files}
        mayDelete={may('files:delete')}
        onOpen={({ filename }) => setOpen(filename)}
        onDownload={(selected) => {
          for (const { filename, total_bytes } of selected) transfers.download(filename, total_bytes);
        }}
        onRemove={remove}
      />
      {open !== null && <Details key={open} page={page} name={open} onClose={() => setOpen(null)} />}
    </main>
  );
}

/** The question for confirmation. Complete files are deleted. For others, only the unfinished upload is cancelled. */
function questionOf(selected: FileStatus[]): string {
  const files = selected.filter(({ status }) => status === 'complete');
  const uploads = selected.filter(({ status }) => status !== 'complete');
  const kept = uploads.some(({ readable }) => readable) ? ' Stored files are kept.' : '';
  const [one] = selected;
  if (selected.length === 1 && one) {
    if (one.status === 'complete') return `Delete ${one.filename}?`;
    return `Cancel the upload of ${one.filename}?${kept}`;
  }
  if (uploads.length === 0) return `Delete these ${files.length} files?`;
  if (files.length === 0) return `Cancel these ${uploads.length} uploads?${kept}`;
  return `Delete ${files.length} files and cancel ${uploads.length} uploads?${kept}`;
}
