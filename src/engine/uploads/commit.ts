/**
 * The commit point of a chunk. Chunks of one upload that finish at the same time share one commit (group commit):
 *
 *     sync data → append manifest records (one write) → sync manifest → catalog document if something was declared → reply
 *
 * With durability `seal`, both syncs are postponed until the file is readable as complete, usually until the seal. Records written before
 * lack the `synced` flag, and are compared with the disk after an unclean stop.
 */
import type { Catalog } from '../../contracts/catalog.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { FileEvent } from '../../contracts/file-events.ts';
import type { ManifestRecord } from '../../contracts/manifests.ts';
import type { FileDocument } from '../../records/file.ts';
import { type Announce, withAnnouncement } from '../files/announce.ts';
import { outOfBounds } from '../files/refusals.ts';
import type { Declaration } from './declaration.ts';
import type { Handles, OpenUpload } from './upload.ts';
import type { Usage } from './usage.ts';

export type Durability = 'chunk' | 'seal';

/** New bytes of one chunk: their range and their CRC-32. */
export interface FreshExtent {
  start: number;
  end: number;
  crc32: number;
  /** The bytes, if the store keeps them with the record. */
  bytes?: Uint8Array;
}

interface Pending {
  fresh: FreshExtent[];
  declaration: Declaration;
  handles: Handles;
  resolve(): void;
  reject(error: unknown): void;
}

export interface CommitterDeps {
  catalog: Catalog;
  clock: Clock;
  usage: Usage;
  durability: Durability;
  emit(event: FileEvent): void;
  announce: Announce;
}

export class Committer {
  readonly #deps: CommitterDeps;
  readonly #pending = new Map<OpenUpload, Pending[]>();
  readonly #running = new Map<OpenUpload, Promise<void>>();

  constructor(deps: CommitterDeps) {
    this.#deps = deps;
  }

  /** Resolves when the chunk is committed. The caller holds the upload and the reservation of the chunk. */
  commit(upload: OpenUpload, handles: Handles, fresh: FreshExtent[], declaration: Declaration): Promise<void> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { fresh, declaration, handles, resolve, reject };
      const queue = this.#pending.get(upload);
      if (queue) queue.push(pending);
      else this.#pending.set(upload, [pending]);
      if (!this.#running.has(upload)) this.#running.set(upload, this.#run(upload));
    });
  }

  /** True while this upload is being committed. */
  isBusy(upload: OpenUpload): boolean {
    return this.#running.has(upload);
  }

  /** Resolves when no commit of this upload is running. */
  async idle(upload: OpenUpload): Promise<void> {
    await this.#running.get(upload);
  }

  async #run(upload: OpenUpload): Promise<void> {
    // Requests that finish in the same iteration of the event loop join the first batch.
    await Promise.resolve();
    for (let batch = this.#pending.get(upload); batch; batch = this.#pending.get(upload)) {
      this.#pending.delete(upload);
      try {
        await this.#commitBatch(upload, batch);
      } catch (error) {
        for (const pending of batch) pending.reject(error);
      }
    }
    // In the same step as the last check, so that a later call starts a new run.
    this.#running.delete(upload);
  }

  async #commitBatch(upload: OpenUpload, batch: Pending[]): Promise<void> {
    const { accepted, document: declared } = this.#admit(upload, batch);
    const first = accepted[0];
    if (!first) return;
    const fresh = accepted.flatMap((pending) => pending.fresh);
    // The server itself parks uploads and assigns names, so these commits do not show that the client is active.
    const isActive = accepted.some(({ declaration }) => !declaration.takesName && declaration.staleAt === undefined);
    const document = isActive ? withoutStaleness(declared) : declared;
    // A file that is readable as complete is durable (PROTOCOL §3), whatever the durability setting.
    const durable = this.#deps.durability === 'chunk' || upload.isContiguousWith(fresh, document);
    const time = this.#deps.clock.now();
    const records: ManifestRecord[] = fresh.map((extent) => ({
      ...extent,
      synced: durable || extent.bytes !== undefined,
      time,
    }));
    // The acknowledgement of a duplicate promises durability too.
    if (durable && (records.length > 0 || upload.hasUnsynced)) await first.handles.part.sync();
    if (durable && upload.hasUnsynced) {
      await first.handles.manifest.sync();
      upload.hasUnsynced = false;
    }
    if (records.length > 0) {
      await first.handles.manifest.append(records, durable);
      // The journal has the records, so the bytes are committed even if the document cannot be written.
      for (const { start, end, crc32 } of records) upload.stored.add({ start, end }, crc32);
      this.#deps.usage.committed(upload, fresh);
      upload.lastCommitAt = time;
    }
    if (!upload.isVisible && accepted.every(({ declaration }) => declaration.atOnce)) upload.document = document;
    else await this.#writeDocument(upload, document, isActive ? time : null);
    for (const pending of accepted) pending.resolve();
  }

  /**
   * Checks each chunk against everything that was committed since its request began, including earlier chunks of this batch. Meanwhile the
   * size may have been declared, or the upload deleted or closed. Rejects chunks that no longer fit.
   */
  #admit(upload: OpenUpload, batch: Pending[]): { accepted: Pending[]; document: FileDocument } {
    const before = upload.document;
    let end = upload.stored.end;
    const accepted = batch.filter((pending) => {
      try {
        upload.assertNotEnded();
        if (upload.isClosed && pending.fresh.length > 0) throw upload.closedError();
        upload.check(pending.declaration, end);
        const document = upload.declared(pending.declaration);
        const last = pending.fresh.at(-1)?.end ?? -1;
        if (document.size !== null && last >= document.size) throw outOfBounds(last, document.size);
        end = Math.max(end, last + 1);
        upload.document = document;
        return true;
      } catch (error) {
        pending.reject(error);
        return false;
      }
    });
    const { document } = upload;
    upload.document = before;
    return { accepted, document };
  }

  /** @param time when the bytes were committed; null: the batch has no bytes */
  async #writeDocument(upload: OpenUpload, document: FileDocument, time: number | null): Promise<void> {
    if (upload.isClosed || (upload.isVisible && document === upload.document)) return;
    const created = { type: 'file.created' as const, file: document };
    const put = (): Promise<void> => this.#putDocument(upload, document, time);
    if (upload.isVisible) await put();
    else await withAnnouncement(this.#deps.announce, [created], put);
  }

  async #putDocument(upload: OpenUpload, document: FileDocument, time: number | null): Promise<void> {
    // The document of an upload that was deleted during this commit must not be written again.
    upload.assertNotEnded();
    const before = upload.document;
    const written = time === null ? document : { ...document, updatedAt: time };
    upload.phase.beginDocument();
    await this.#deps.catalog.put(written);
    upload.document = written;
    if (!upload.isVisible) this.#deps.emit({ type: 'file.created', file: written });
    upload.phase.becomeVisible();
    if (before.staleAt === undefined || written.staleAt !== undefined || time === null) return;
    this.#deps.usage.resume(upload);
    upload.lastCommitAt = time;
  }
}

/** The document of an upload that is no longer parked, because its client sends again. */
function withoutStaleness(document: FileDocument): FileDocument {
  if (document.staleAt === undefined) return document;
  const { staleAt: _, ...rest } = document;
  return rest;
}
