/** The upload area: drop files or folders, or pick them. */
import { useState } from 'preact/hooks';

/** A file that the user picked or dropped. */
export interface PickedFile {
  file: File;
  /** The path, including folders. */
  name: string;
}

export function Picker({ onPick }: { onPick(picked: PickedFile[]): void }) {
  const [isDragging, setDragging] = useState(false);
  const pick = (list: FileList | null) => {
    onPick(Array.from(list ?? [], (file) => ({ file, name: file.webkitRelativePath || file.name })));
  };
  const chooser = (title: string, folders: boolean) => (
    <label class="pick">
      {title}
      <input
        type="file"
        multiple
        {...(folders ? { webkitdirectory: true } : {})}
        onChange={(event) => {
          pick(event.currentTarget.files);
          event.currentTarget.value = '';
        }}
      />
    </label>
  );
  return (
    <section
      aria-label="Upload"
      class={isDragging ? 'drop over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setDragging(true);
      }}
      onDragLeave={() => setDragging(false)}
      onDrop={(event) => {
        event.preventDefault();
        setDragging(false);
        void droppedFiles(event.dataTransfer).then(onPick);
      }}
    >
      <p>
        Drop files or folders here.{' '}
        <span class="quiet">To resume an interrupted upload, pick the same file again.</span>
      </p>
      <div class="bar">
        {chooser('Upload files', false)}
        {chooser('Upload a folder', true)}
      </div>
    </section>
  );
}

/** Lists dropped files. The entries must be read during the event: the browser discards them after it. */
async function droppedFiles(data: DataTransfer | null): Promise<PickedFile[]> {
  const dropped = Array.from(data?.items ?? [], (item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const found = await Promise.all(
    dropped.map(async ({ entry, file }): Promise<PickedFile[]> => {
      if (entry !== null) return await filesOf(entry, '');
      return file === null ? [] : [{ file, name: file.name }];
    }),
  );
  return found.flat();
}

async function filesOf(entry: FileSystemEntry, folder: string): Promise<PickedFile[]> {
  if (entry instanceof FileSystemFileEntry) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: folder + file.name }];
  }
  if (!(entry instanceof FileSystemDirectoryEntry)) return [];
  const reader = entry.createReader();
  const found: PickedFile[] = [];
  // A reader returns up to 100 entries at a time, and an empty list at the end.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return found;
    for (const one of batch) found.push(...(await filesOf(one, `${folder}${entry.name}/`)));
  }
}
