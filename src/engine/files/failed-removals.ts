/**
 * Tracks documents of discarded uploads that the storage failed to remove. The next start would find such a document and show the upload again
 * instead of the file that has its name by then. So no new document of a name is written before the old one is removed.
 */
import type { BlobStore } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { FileDocument } from '../../records/file.ts';
import { removeBytes } from './file-blobs.ts';
import { slotKey } from './watchers.ts';

export interface FailedRemovalsDeps {
  blobs: BlobStore;
  catalog: Catalog;
}

export class FailedRemovals {
  readonly #deps: FailedRemovalsDeps;
  /** Key of the name → documents being removed, each with the promise of its removal; null if the removal failed. */
  readonly #removals = new Map<string, Map<FileDocument, Promise<void> | null>>();

  constructor(deps: FailedRemovalsDeps) {
    this.#deps = deps;
  }

  /** Removes a document. If that fails, `retry` removes it together with the bytes. */
  async remove(document: FileDocument): Promise<void> {
    const key = slotKey(document.owner, document.name);
    const removals = this.#removals.get(key) ?? new Map<FileDocument, Promise<void> | null>();
    this.#removals.set(key, removals);
    const removal = this.#deps.catalog.remove(document.id);
    removals.set(document, removal);
    try {
      await removal;
    } catch (error) {
      removals.set(document, null);
      throw error;
    }
    removals.delete(document);
    if (removals.size === 0 && this.#removals.get(key) === removals) this.#removals.delete(key);
  }

  /** Waits for running removals of this name, and retries those that failed. Resolves with true if it retried any. */
  async retry(owner: string, name: string): Promise<boolean> {
    const removals = this.#removals.get(slotKey(owner, name)) ?? new Map<FileDocument, Promise<void> | null>();
    let retried = false;
    for (const document of [...removals.keys()]) {
      await removals.get(document)?.catch(() => {});
      if (removals.get(document) !== null) continue;
      await this.remove(document);
      await removeBytes(this.#deps.blobs, document);
      retried = true;
    }
    return retried;
  }

  /** Documents whose removal failed. */
  all(): FileDocument[] {
    const each = [...this.#removals.values()].flatMap((removals) => [...removals]);
    return each.flatMap(([document, removal]) => (removal === null ? [document] : []));
  }
}
