/** The files of whoever is signed in, and what this page moves. */
import { useState } from 'preact/hooks';
import type { FileStatus } from '../../client/client.ts';
import { words } from '../format.ts';
import type { PageProps } from '../pages.ts';
import { Trouble } from '../parts.tsx';
import { Details } from './details.tsx';
import { Picker } from './picker.tsx';
import { FileTable } from './table.tsx';
import { Tasks } from './tasks.tsx';
import { useLiveFiles } from './use-files.ts';

export function FilesPage(page: PageProps) {
  const { who, onEnded, moves, tasks } = page;
  const [error, setError] = useState<string | null>(null);
  const [open, setOpen] = useState<string | null>(null);
  const files = useLiveFiles(who, onEnded, setError);
  const may = (scope: string) => who.rights.scopes.includes(scope);
  const remove = (chosen: FileStatus[]) => {
    const [only] = chosen;
    if (only === undefined) return;
    const one = only.status === 'complete' ? `Delete ${only.filename}?` : `Cancel the upload of ${only.filename}?`;
    if (!confirm(chosen.length === 1 ? one : `Delete these ${chosen.length} files?`)) return;
    for (const { filename } of chosen) who.client.remove(filename).catch((problem) => setError(words(problem)));
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
      <Tasks tasks={tasks} moves={moves} />
      <Trouble>{error}</Trouble>
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
