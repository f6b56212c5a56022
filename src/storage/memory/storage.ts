/**
 * A back end in memory that simulates power failures. It fulfils the storage interfaces, but a crash loses everything that was not synced. So
 * tests of the whole engine find faults that a real disk would show only rarely.
 *
 *     const storage = new MemoryStorage();
 *     const store = await storage.open();
 *     … storage.crash() …
 *     const next = await storage.open();
 */
import type { DateBox } from '../../contracts/clock.ts';
import type { SecretBox } from '../../contracts/collection.ts';
import type { CollectionName, Store } from '../../contracts/store.ts';
import { assertSecretName } from '../names.ts';
import { MemoryAuditLog } from './audit-log.ts';
import { MemoryBlobs } from './blobs.ts';
import { MemoryCatalog } from './catalog.ts';
import { MemoryCollection } from './collection.ts';
import { Images } from './images.ts';
import { MemoryInspector } from './inspector.ts';
import { MemoryManifests } from './manifests.ts';
import { AT_ONCE, Run, type Scheduler } from './run.ts';

export class MemoryStorage {
  readonly #images = new Images();
  #run: Run | null = null;
  #clean = true;

  /** Opens the storage. @throws Error while it is open already, because it has one owner at a time */
  async open(scheduler: Scheduler = AT_ONCE): Promise<Store> {
    if (this.#run) throw new Error('the storage is in use');
    const run = new Run(scheduler);
    this.#run = run;
    const wasClean = this.#clean;
    this.#clean = false;
    // Make journals durable that the previous process left unsynced, before the next one relies on them.
    if (!wasClean) for (const id of this.#images.visible.keys()) this.#images.syncJournal(id);
    return this.#assemble(run, wasClean);
  }

  /**
   * Simulates a power failure: the open store fails, and data that was not synced is lost.
   * @param random numbers from 0 to 1 that choose which unsynced data survives; by default none does
   */
  crash(random: (() => number) | null = null): void {
    this.kill();
    this.#images.losePower(random);
  }

  /** Simulates a crash of the process: the open store fails, and everything that it wrote survives. */
  kill(): void {
    this.#run?.end();
    this.#run = null;
  }

  #assemble(run: Run, wasClean: boolean): Store {
    const images = this.#images;
    const blobs = new MemoryBlobs(images, run);
    const auditLog = new MemoryAuditLog(images.entries, run);
    return {
      blobs,
      manifests: new MemoryManifests(images, run),
      inspector: new MemoryInspector((id) => blobs.bytesOf(id), run),
      auditLog,
      dateBox: dateBox(images, run),
      openCatalog: async () => new MemoryCatalog(images.documents, run),
      openCollection: async (kind, reports) => new MemoryCollection(collection(images, kind.name), kind, reports, run),
      secret: (name, make) => secret(images, run, name, make),
      secretBox: (name) => secretBox(images, run, name),
      wasClean,
      gauges: () => ({
        journal_records_repaired_total: 0,
        journal_records_lost_total: 0,
        disk_free_bytes: Number.NaN,
      }),
      onJournalDamage: () => undefined,
      health: () => 'ok',
      lost: new Promise(() => {}),
      close: async ({ clean = false } = {}) => {
        await auditLog.close();
        if (run.hasEnded) return;
        if (clean) images.syncAll();
        this.#clean = clean;
        this.kill();
      },
    };
  }
}

function collection({ collections }: Images, name: CollectionName): Map<string, string> {
  const documents = collections.get(name) ?? new Map<string, string>();
  collections.set(name, documents);
  return documents;
}

function dateBox(images: Images, run: Run): DateBox {
  return {
    read: () => run.step('date.read', () => images.time),
    write: (time) =>
      run.step('date.write', () => {
        images.time = { ...time };
      }),
  };
}

function secretBox({ secrets }: Images, run: Run, name: string): SecretBox {
  assertSecretName(name);
  return {
    read: () =>
      run.step('secret.read', () => {
        const stored = secrets.get(name);
        return stored ? Uint8Array.from(stored) : null;
      }),
    write: (bytes) => run.step('secret.write', () => void secrets.set(name, Uint8Array.from(bytes))),
  };
}

async function secret(images: Images, run: Run, name: string, make: () => Uint8Array): Promise<Uint8Array> {
  const box = secretBox(images, run, name);
  const stored = await box.read();
  if (stored) return stored;
  const made = make();
  await box.write(made);
  return made;
}
