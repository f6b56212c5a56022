/**
 * The queue of uploads that wait for their name while another upload has it. When that upload is cancelled, expires, or becomes the file, the
 * oldest waiting one gets the name:
 *
 *     the name is free → document without `aside`  ← now it has the name → status, lists and watchers show it
 *
 * After a crash, the upload either still waits or has the name. The next start assigns names that are still free.
 */
import type { Catalog } from '../../contracts/catalog.ts';
import { LadingError } from '../../errors.ts';
import type { Watchers } from '../files/watchers.ts';
import type { Committer } from './commit.ts';
import type { UploadTable } from './upload-table.ts';

export interface NameQueueDeps {
  catalog: Catalog;
  uploads: UploadTable;
  committer: Committer;
  watchers: Watchers;
  /** Runs background work; a stop of the server waits for it. */
  track(work: () => Promise<void>): Promise<void>;
  warn(message: string, error: unknown): void;
}

export class NameQueue {
  readonly #deps: NameQueueDeps;

  constructor(deps: NameQueueDeps) {
    this.#deps = deps;
    deps.uploads.onNameFree((owner, name) => void this.#giveName(owner, name));
  }

  /** Assigns the names that a stop or a crash left free. To be called after a start. */
  async resume(): Promise<void> {
    for (const { document } of [...this.#deps.uploads.all()]) {
      if (document.aside) await this.#giveName(document.owner, document.name);
    }
  }

  async #giveName(owner: string, name: string): Promise<void> {
    const { uploads, track, warn } = this.#deps;
    if (uploads.find(owner, name) || uploads.waitingFor(owner, name).length === 0) return;
    await track(() => uploads.holdName(owner, name, () => this.#giveNameToOldest(owner, name))).catch(
      (error: unknown) => {
        // The server is stopping, or the upload was cancelled at this moment.
        if (error instanceof LadingError && (error.code === 'shutting_down' || error.code === 'not_found')) return;
        warn('an upload could not take the name that it waits for; the next start tries again', error);
      },
    );
  }

  /** To be called while the name is held. */
  async #giveNameToOldest(owner: string, name: string): Promise<void> {
    const { catalog, uploads, committer, watchers } = this.#deps;
    const next = uploads.waitingFor(owner, name).find(({ isVisible }) => isVisible);
    // An upload that is being sealed takes the name itself. If that fails, this method is called again.
    if (!next || next.isClosed || uploads.find(owner, name)) return;
    const { sealed } = await catalog.find(owner, name);
    const takesName = { replaces: sealed?.id ?? null };
    await uploads.using(next, (handles) =>
      committer.commit(next, handles, [], { size: null, reprDigest: null, contentType: null, takesName }),
    );
    uploads.nameTaken(next);
    watchers.notify(owner, name);
  }
}
