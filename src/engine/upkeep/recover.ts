/** Recovery at start, before any request: replays the journals of unfinished uploads, and removes blobs that no document refers to. */
import { forEachConcurrently } from '../../concurrent.ts';
import type { BlobStore, Inspector } from '../../contracts/blobs.ts';
import type { Catalog } from '../../contracts/catalog.ts';
import type { ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import type { FileDocument } from '../../records/file.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { UploadTable } from '../uploads/upload-table.ts';
import type { Usage } from '../uploads/usage.ts';

/** Maximum number of uploads replayed concurrently: enough to keep the disk busy, few enough to limit memory and open files. */
const MAX_CONCURRENT = 32;

export interface RecoverDeps {
  blobs: BlobStore;
  manifests: ManifestStore;
  catalog: Catalog;
  inspector: Inspector;
  uploads: UploadTable;
  usage: Usage;
  /** False after a crash or a power loss. Records that were not synced are then compared with the disk. */
  wasClean: boolean;
  warn(message: string, details: object): void;
  /** Throws once the server stops. */
  assertNotStopping(): void;
}

export interface Recovered {
  uploads: number;
  /** Recorded chunks whose bytes are not on the disk (durability `seal` and an unclean stop). */
  forgotten: number;
  /** Blobs without a document, which were removed. */
  leftovers: number;
}

/** Rebuilds the table of uploads. The caller then seals those that have all bytes. */
export async function recover(deps: RecoverDeps): Promise<Recovered> {
  const recovered: Recovered = { uploads: 0, forgotten: 0, leftovers: 0 };
  for (const id of await deps.blobs.list()) {
    deps.assertNotStopping();
    if (await deps.catalog.has(id)) continue;
    await deps.blobs.remove(id);
    recovered.leftovers += 1;
  }
  const documents = await deps.catalog.listOpen();
  const replayOne = async (document: FileDocument): Promise<void> => {
    deps.assertNotStopping();
    const { upload, forgotten } = await replay(deps, await withoutDeletedFile(deps, document));
    recovered.forgotten += forgotten;
    if (upload) recovered.uploads += 1;
  };
  const [waiting, others] = [documents.filter(({ aside }) => aside), documents.filter(({ aside }) => !aside)];
  await forEachConcurrently(others, MAX_CONCURRENT, replayOne);
  // Uploads that wait for a name are adopted one by one, oldest first, so that they keep their order.
  await forEachConcurrently(
    waiting.sort((a, b) => a.createdAt - b.createdAt),
    1,
    replayOne,
  );
  await forEachConcurrently(deps.usage.filesBegunEarlier(), MAX_CONCURRENT, async ({ id, owner }) => {
    deps.assertNotStopping();
    const records = await deps.manifests.read(id).catch(() => []);
    deps.usage.received(owner, records);
  });
  return recovered;
}

/** After a crash during the deletion of a file, its replacement may still exist. It then replaces nothing. */
async function withoutDeletedFile({ catalog }: RecoverDeps, document: FileDocument): Promise<FileDocument> {
  const { replaces } = document;
  return replaces === null || (await catalog.has(replaces)) ? document : { ...document, replaces: null };
}

async function replay(
  deps: RecoverDeps,
  document: FileDocument,
): Promise<{ upload: OpenUpload | null; forgotten: number }> {
  const { id } = document;
  try {
    const found = await readJournal(deps, id);
    const journaled = found ?? [];
    if (!journaled.some(({ synced }) => synced)) await restorePart(deps, id);
    const kept = await checkedRecords(deps, id, journaled);
    // A parked upload may stay for weeks. Sync it and mark its records, so that the next start need not read the bytes again.
    const marksSynced = !deps.wasClean && document.staleAt !== undefined && kept.some(({ synced }) => !synced);
    if (marksSynced) await syncPart(deps, id);
    if (!found || marksSynced || kept.length < journaled.length || kept.some(({ repaired }) => repaired))
      await deps.manifests.rewrite(id, marksSynced ? kept.map((record) => ({ ...record, synced: true })) : kept);
    return { upload: deps.uploads.adopt(document, kept), forgotten: journaled.length - kept.length };
  } catch (error) {
    // One damaged upload must not prevent the recovery of the others.
    deps.warn('an upload could not be recovered and is left as it is', { id, error });
    return { upload: null, forgotten: 0 };
  }
}

async function syncPart({ blobs }: RecoverDeps, id: string): Promise<void> {
  const part = await blobs.openPart(id);
  try {
    await part.sync();
  } finally {
    part.release();
  }
}

/** The records of an upload; null if its journal was lost in a power failure (durability `seal`), so that nothing was received. */
async function readJournal(deps: RecoverDeps, id: string): Promise<ManifestRecord[] | null> {
  try {
    return await deps.manifests.read(id);
  } catch (error) {
    if (!(error instanceof LadingError) || error.code !== 'not_found') throw error;
    return null;
  }
}

/** Creates a missing blob. A power failure may leave the document of an upload without its blob if none of its bytes was synced. */
async function restorePart({ blobs, wasClean }: RecoverDeps, id: string): Promise<void> {
  if (!wasClean && (await blobs.size(id)) === null) await blobs.create(id);
}

async function checkedRecords(deps: RecoverDeps, id: string, records: ManifestRecord[]): Promise<ManifestRecord[]> {
  const suspect = records.filter(({ synced, repaired }) => repaired || (!deps.wasClean && !synced));
  if (suspect.length === 0) return records;
  const bad = new Set((await deps.inspector.verify(id, suspect)).map((index) => suspect[index]));
  return records.filter((record) => !bad.has(record));
}
