/** Opens a data directory of format `v2`: documents, records and small bytes in the ledger, everything else on the disk. */
import type { JournalDamage, ManifestRecord } from '../../contracts/manifests.ts';
import type { Store } from '../../contracts/store.ts';
import { type DiskStore, type DiskStoreOptions, openDiskStore } from '../disk/store.ts';
import { LedgerBlobs } from './blobs.ts';
import { LedgerDocuments } from './documents.ts';
import { LedgerInspector } from './inspector.ts';
import { Ledger } from './ledger.ts';
import { LedgerManifests } from './manifests.ts';

export interface LedgerStore extends Omit<Store, 'openCatalog' | 'openCollection'> {
  /** The documents of files, by file id. */
  fileDocuments: LedgerDocuments;
  documents: DiskStore['documents'];
}

/** @throws Error when another server uses the directory, with a message for the operator */
export async function openLedgerStore(options: DiskStoreOptions): Promise<LedgerStore> {
  const records = { of: (_: string): Promise<ManifestRecord[]> => Promise.resolve([]) };
  const store = await openDiskStore({ ...options, format: 'v2', recordsOf: (id) => records.of(id) });
  try {
    const { disk_free_bytes: known } = store.gauges();
    const free = (): number | null => (Number.isNaN(known) ? null : store.gauges().disk_free_bytes);
    const ledger = new Ledger({ path: store.layout.ledger, free });
    const damage = { lost: 0 };
    let onDamage: (id: string, found: JournalDamage) => void = () => {};
    const manifests = new LedgerManifests({
      ledger,
      onBytes: (id, bytes) => blobs.counted(id, bytes),
      onDamage: (id, found) => {
        damage.lost += found.lost;
        onDamage(id, found);
      },
    });
    records.of = (id) => manifests.read(id);
    const files = Object.assign(store.blobs, { isUnsynced: store.isUnsynced });
    const blobs = new LedgerBlobs({ ledger, manifests, files });
    return {
      ...store,
      blobs,
      manifests,
      inspector: new LedgerInspector(blobs, store.inspector),
      fileDocuments: new LedgerDocuments(ledger),
      gauges: () => ({ ...store.gauges(), journal_records_lost_total: damage.lost }),
      onJournalDamage: (listener) => {
        onDamage = listener;
      },
      close: async (how) => {
        await blobs.close();
        if (how?.clean) await manifests.close();
        await ledger.close();
        await store.close(how);
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}
