/** Small documents as text, each in a file of its own, written durably. Collections use them by key and never see a path. */
import * as path from 'node:path';
import { guarded } from './directory/failures.ts';
import { type Disk, nullIfAbsent } from './io/disk.ts';
import { readWhole, writeFileDurably } from './io/durable.ts';

export interface DiskDocumentsOptions {
  disk: Disk;
  tmp: string;
  pathOf(key: string): string;
  /** Keys that may have a document. */
  keys(): Promise<string[]>;
  /**
   * `make` creates the directory of a document. `sync` makes the directory durable after the document was written. Null when the
   * directories exist already.
   */
  directories: { make(key: string): Promise<void>; sync(key: string): Promise<void> } | null;
}

export class DiskDocuments {
  readonly #options: DiskDocumentsOptions;

  constructor(options: DiskDocumentsOptions) {
    this.#options = options;
  }

  /** Keys that may have a document. */
  list(): Promise<string[]> {
    return guarded(() => this.#options.keys());
  }

  /** Null if the document does not exist. */
  async read(key: string): Promise<string | null> {
    const bytes = await guarded(() => readWhole(this.#options.disk, this.#options.pathOf(key)));
    return bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  /** Atomic; durable when it resolves. */
  async write(key: string, text: string): Promise<void> {
    const { disk, tmp, pathOf, directories } = this.#options;
    const write = (): Promise<void> => writeFileDurably(disk, pathOf(key), Buffer.from(text, 'utf8'), { tmp });
    await guarded(async () => {
      if ((await nullIfAbsent(write().then(() => true))) === null) {
        // The directory is missing. That is rare, because the bytes of a file are created before its document.
        await directories?.make(key);
        await write();
      }
      await directories?.sync(key);
    });
  }

  /** Durable when it resolves. False if the document did not exist. */
  async remove(key: string): Promise<boolean> {
    const { disk, pathOf } = this.#options;
    return guarded(async () => {
      const file = pathOf(key);
      const existed = (await nullIfAbsent(disk.unlink(file).then(() => true))) ?? false;
      // Also when the file does not exist: an earlier removal may have failed before its sync.
      await nullIfAbsent(disk.syncDir(path.dirname(file)));
      return existed;
    });
  }
}
