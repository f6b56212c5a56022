/**
 * Small documents as text, each in a file of its own, written durably. Collections ask for a place like this one
 * and never learns its paths.
 */
import * as path from 'node:path';
import { guarded } from './directory/failures.ts';
import { type Disk, nullIfAbsent } from './io/disk.ts';
import { readWhole, writeFileDurably } from './io/durable.ts';

export interface DiskDocumentsOptions {
  disk: Disk;
  tmp: string;
  pathOf(key: string): string;
  /** Keys under which there may be a document. */
  keys(): Promise<string[]>;
  /** Makes the directory of a document, and the directory itself durable once its document is. Null when directories last already. */
  directories: { make(key: string): Promise<void>; sync(key: string): Promise<void> } | null;
}

export class DiskDocuments {
  readonly #options: DiskDocumentsOptions;

  constructor(options: DiskDocumentsOptions) {
    this.#options = options;
  }

  /** Keys under which there may be a document. */
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
        // The directory is missing; mostly it is there, for the bytes come first.
        await directories?.make(key);
        await write();
      }
      await directories?.sync(key);
    });
  }

  /** Durable when it resolves; false when there was none. */
  async remove(key: string): Promise<boolean> {
    const { disk, pathOf } = this.#options;
    return guarded(async () => {
      const file = pathOf(key);
      const existed = (await nullIfAbsent(disk.unlink(file).then(() => true))) ?? false;
      // Also when it is gone already: the removal before may have ended without its sync.
      await nullIfAbsent(disk.syncDir(path.dirname(file)));
      return existed;
    });
  }
}
