/**
 * Two images of the stored data, as on a machine with a disk:
 *
 *     visible   what operations see, including the caches of the kernel
 *     durable   what survives a power failure
 *
 * A crash of the process alone loses nothing of the visible image. Documents, entries and secrets are written in transactions, so they have
 * only one image. Data that a process keeps in its own memory, such as an index, is not part of either.
 */
import type { StoredTime } from '../../contracts/clock.ts';
import type { ManifestRecord } from '../../contracts/manifests.ts';
import type { CollectionName } from '../../contracts/store.ts';
import type { AuditEntry } from '../../records/audit.ts';
import type { FileDocument } from '../../records/file.ts';
import { SparseBytes } from './sparse-bytes.ts';

/** Bytes and journal of one id. */
export interface StoredFile {
  /** Null: only the journal exists. */
  bytes: SparseBytes | null;
  /** The bytes are a sealed blob. */
  sealed: boolean;
  /** Null: no journal exists. */
  journal: readonly ManifestRecord[] | null;
}

export class Images {
  readonly visible = new Map<string, StoredFile>();
  readonly durable = new Map<string, StoredFile>();
  readonly documents = new Map<string, FileDocument>();
  /** Documents of each collection, as JSON. */
  readonly collections = new Map<CollectionName, Map<string, string>>();
  readonly entries: AuditEntry[] = [];
  readonly secrets = new Map<string, Uint8Array>();
  time: StoredTime | null = null;

  /** Makes the bytes of an id durable as they are now. */
  syncBytes(id: string): void {
    const file = this.visible.get(id);
    if (!file) return;
    const journal = this.durable.get(id)?.journal ?? null;
    this.durable.set(id, { bytes: file.bytes?.copy() ?? null, sealed: file.sealed, journal });
  }

  /** Makes the journal of an id durable as it is now, and with it the name of its bytes. */
  syncJournal(id: string): void {
    const file = this.visible.get(id);
    if (!file) return;
    const before = this.durable.get(id);
    const bytes = before?.bytes ?? (file.bytes && new SparseBytes());
    this.durable.set(id, { bytes, sealed: before?.sealed ?? file.sealed, journal: file.journal });
  }

  /** Makes everything durable, as a clean stop does. */
  syncAll(): void {
    for (const id of this.visible.keys()) {
      this.syncBytes(id);
      this.syncJournal(id);
    }
    for (const id of this.durable.keys()) if (!this.visible.has(id)) this.durable.delete(id);
  }

  /** @param random numbers from 0 to 1 that choose which unsynced data survives; null: none does */
  losePower(random: (() => number) | null): void {
    for (const id of new Set([...this.visible.keys(), ...this.durable.keys()])) {
      const left = survivor(this.visible.get(id), this.durable.get(id), random);
      set(this.durable, id, left);
      set(this.visible, id, left && { ...left, bytes: left.bytes?.copy() ?? null });
    }
  }
}

function set(image: Map<string, StoredFile>, id: string, file: StoredFile | undefined): void {
  if (file) image.set(id, file);
  else image.delete(id);
}

function survivor(
  visible: StoredFile | undefined,
  durable: StoredFile | undefined,
  random: (() => number) | null,
): StoredFile | undefined {
  if (!random) return durable;
  if (!visible || !durable) return random() < 0.5 ? tornFrom(visible, random) : durable;
  const bytes = visible.bytes?.tornFrom(durable.bytes ?? new SparseBytes(), random) ?? durable.bytes;
  const sealed = random() < 0.5 ? visible.sealed : durable.sealed;
  return { bytes, sealed, journal: tornJournal(visible.journal, durable.journal, random) };
}

/** What may survive of a file that was never synced. */
function tornFrom(visible: StoredFile | undefined, random: () => number): StoredFile | undefined {
  if (!visible) return undefined;
  const bytes = random() < 0.5 && visible.bytes ? visible.bytes.tornFrom(new SparseBytes(), random) : null;
  const journal = random() < 0.5 ? tornJournal(visible.journal, [], random) : null;
  return bytes || journal ? { bytes, sealed: false, journal } : undefined;
}

/** Each unsynced record survives or is lost independently, because each has its own checksum. */
function tornJournal(
  visible: StoredFile['journal'],
  durable: StoredFile['journal'],
  random: () => number,
): StoredFile['journal'] {
  if (!visible) return durable;
  const synced = durable ?? [];
  return [...synced, ...visible.slice(synced.length).filter(() => random() < 0.5)];
}
