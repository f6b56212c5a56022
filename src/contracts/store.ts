/** The interface to a whole back end: everything that a server stores. Implementations: `storage/backends.ts`. */
import type { OnCorrected } from '../records/checks/fields.ts';
import type { AuditLog } from './audit-log.ts';
import type { BlobStore, Inspector } from './blobs.ts';
import type { Catalog } from './catalog.ts';
import type { DateBox } from './clock.ts';
import type { Collection, SecretBox } from './collection.ts';
import type { JournalDamage, ManifestStore } from './manifests.ts';

/** Names of the collections of small documents. */
export const COLLECTIONS = [
  'clients',
  'people',
  'sign-ins',
  'api-tokens',
  'revocations',
  'tenants',
  'shares',
  'grants',
  'audio',
  'calls',
  'targets',
  'deliveries',
] as const;
export type CollectionName = (typeof COLLECTIONS)[number];

/** Validates a stored document. Throws if `value` is not a valid document of that key. */
export type Check<T> = (value: unknown, key: string, onCorrected: OnCorrected) => T;

/** Called at the start for a stored document that is invalid. The document is not changed, and its id stays in use. */
export type OnDamaged = (key: string, error: Error) => void;

/** Called at the start for a document in which a value was corrected. The stored document changes when it is written next. */
export type OnCorrectedDocument = (key: string, words: string) => void;

/** Callbacks for documents that are damaged or were corrected. */
export interface DocumentReports {
  onDamaged: OnDamaged;
  onCorrected?: OnCorrectedDocument;
}

/** How a back end reads the documents of one collection. */
export interface DocumentKind<T> {
  name: CollectionName;
  check: Check<T>;
  idOf(document: T): string;
}

/** `full`: too little free space for an upload. `unwritable`: writes fail. `lost`: moved, unmounted or replaced. */
export type StorageHealth = 'ok' | 'full' | 'unwritable' | 'lost';

/** An open back end. One server owns it until `close`. */
export interface Store {
  blobs: BlobStore;
  manifests: ManifestStore;
  inspector: Inspector;
  auditLog: AuditLog;
  /** The time of the last run of the server. */
  dateBox: DateBox;
  /** Opens the documents of files. Must be called once. */
  openCatalog(reports: DocumentReports): Promise<Catalog>;
  /** Opens a collection of small documents. Must be called once for each name. */
  openCollection<T extends object>(kind: DocumentKind<T>, reports: DocumentReports): Promise<Collection<T>>;
  /** Returns the secret of this name (1 to 32 lowercase letters). If it does not exist, creates it with `make` and stores it. */
  secret(name: string, make: () => Uint8Array): Promise<Uint8Array>;
  /** Returns the storage of a secret that changes. The name has 1 to 32 lowercase letters. */
  secretBox(name: string): SecretBox;
  /** False: the last process did not stop cleanly. True also for a new, empty storage. */
  wasClean: boolean;
  /** Values for the metrics page. */
  gauges(): Record<'journal_records_repaired_total' | 'journal_records_lost_total' | 'disk_free_bytes', number>;
  /** Sets the listener that is called when a journal with damaged records is read. */
  onJournalDamage(listener: (id: string, found: JournalDamage) => void): void;
  /** The condition of the storage; `lost` is final. */
  health(): StorageHealth;
  /** Resolves when the storage was moved, unmounted or replaced while it was open. Otherwise it never resolves. */
  lost: Promise<void>;
  /**
   * Closes everything. With `clean`, first makes everything durable and tells the next start that it was a clean stop. Callers have
   * finished all their writes by then.
   */
  close(options?: { clean?: boolean }): Promise<void>;
}
