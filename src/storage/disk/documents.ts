/**
 * Small documents as text, each in a file of its own, written durably. Collections ask for a place like this one
 * and never learns its paths.
 */
import * as path from 'node:path';
import { guarded } from './directory/failures.ts';
import { type Disk, orAbsent } from './io/disk.ts';
import { readWhole, writeFileDurably } from './io/durable.ts';

export interface DiskDocumentsOptions {
  disk: Disk;
  tmp: string;
  pathOf(key: string): string;
  /** Keys under which there may be a document. */
  keys(): Promise<string[]>;
  /** Makes the folder of a document, and the folder itself durable once its document is. Null when folders last already. */
  folder: { make(key: string): Promise<void>; settle(key: string): Promise<void> } | null;
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
    const { disk, tmp, pathOf, folder } = this.#options;
    const write = (): Promise<void> => writeFileDurably(disk, pathOf(key), Buffer.from(text, 'utf8'), { tmp });
    await guarded(async () => {
      if ((await orAbsent(write().then(() => true))) === null) {
        // The folder is missing; mostly it is there, for the bytes come first.
        await folder?.make(key);
        await write();
      }
      await folder?.settle(key);
    });
  }

  /** Durable when it resolves; false when there was none. */
  async remove(key: string): Promise<boolean> {
    const { disk, pathOf } = this.#options;
    return guarded(async () => {
      const file = pathOf(key);
      const existed = (await orAbsent(disk.unlink(file).then(() => true))) ?? false;
      // Also when it is gone already: the removal before may have ended without its sync.
      await orAbsent(disk.syncDir(path.dirname(file)));
      return existed;
    });
  }
}
