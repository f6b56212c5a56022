/**
 * Migrates a data directory of format `v1`, once:
 *
 *     v1/files/<aa>/<id>/file.json ──► v1/ledger: documents        v1 ── rename ──► v2
 *     v1/files/<aa>/<id>/manifest  ──► v1/ledger: records
 *
 * Until the rename, the directory is a complete `v1`, and the next start after a crash begins again. Bytes are not moved. The old documents
 * and journals stay until their file is removed.
 */
import { rename, rm } from 'node:fs/promises';
import type { ManifestRecord } from '../../contracts/manifests.ts';
import { FileDirectories } from '../disk/directories.ts';
import { Layout } from '../disk/directory/layout.ts';
import { acquireLock } from '../disk/directory/lock.ts';
import { nullIfAbsent, realDisk } from '../disk/io/disk.ts';
import { readWhole } from '../disk/io/durable.ts';
import { decodeJournal } from '../disk/journal.ts';
import { encodeRecord, fileKey, rangeKey } from './keys.ts';
import { Ledger, type LedgerWrite } from './ledger.ts';

/** Files per transaction: few enough to fail early on a full disk, enough to make the cost of syncs negligible. */
const BATCH = 500;

interface OldFile {
  id: string;
  document: Uint8Array | null;
  records: ManifestRecord[];
}

/**
 * Migrates the directory. Does nothing if there is no data of format `v1`.
 * @throws DirectoryInUse; Error when a document or a journal cannot be read or copied; the directory is then unchanged
 */
export async function migrateToLedger(dataDir: string): Promise<void> {
  const [before, after] = [new Layout(dataDir, 'v1'), new Layout(dataDir, 'v2')];
  const isDone = (await nullIfAbsent(realDisk.readdir(after.root))) !== null;
  if (isDone || (await nullIfAbsent(realDisk.readdir(before.files))) === null) return;
  const lock = await acquireLock(realDisk, before.lock);
  try {
    await rm(before.ledger, { recursive: true, force: true });
    await copy(before);
    await realDisk.syncDir(before.ledger);
    await realDisk.syncDir(before.root);
    await rename(before.root, after.root);
    // The lock was moved with its directory, so `release` will not find it.
    await rm(after.lock, { force: true });
    await realDisk.syncDir(before.dataDir);
  } finally {
    await lock.release();
  }
}

async function copy(layout: Layout): Promise<void> {
  const ledger = new Ledger({ path: layout.ledger, free: () => null });
  try {
    const ids = await new FileDirectories(realDisk, layout).ids();
    for (let at = 0; at < ids.length; at += BATCH) {
      const files = await Promise.all(ids.slice(at, at + BATCH).map((id) => readFile(layout, id)));
      await ledger.commit((write) => {
        for (const file of files) put(write, file);
      });
    }
    await check(ledger, layout, ids);
  } finally {
    await ledger.close();
  }
}

async function readFile(layout: Layout, id: string): Promise<OldFile> {
  const { document, manifest } = layout.file(id);
  const journal = await readWhole(realDisk, manifest);
  const records = journal ? decodeJournal(id, journal).records : [];
  return { id, document: await readWhole(realDisk, document), records };
}

function put(write: LedgerWrite, { id, document, records }: OldFile): void {
  if (document) write.put('documents', fileKey(id), document);
  write.put('records', fileKey(id), new Uint8Array(0));
  // Mark repaired records as not synced, so that recovery compares them with the stored bytes.
  for (const [index, { repaired, synced, ...record }] of records.entries()) {
    write.put('records', rangeKey(id, index), encodeRecord({ ...record, synced: synced && !repaired }));
  }
}

/** Reads every document again. @throws Error when one differs */
async function check(ledger: Ledger, layout: Layout, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const old = await readWhole(realDisk, layout.file(id).document);
    const copied = ledger.documents.get(fileKey(id));
    const isEqual = old === null ? copied === undefined : copied !== undefined && Buffer.compare(old, copied) === 0;
    if (!isEqual) throw new Error(`the document of the file ${id} was not copied to the ledger`);
  }
}
