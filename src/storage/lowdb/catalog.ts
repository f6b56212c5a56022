/**
 * The catalog: one document per file on the disk, and an index of all documents in memory.
 *
 *     byId     id → document
 *     owners   owner → names, sorted        found by binary search: listing pages and prefixes
 *                    → name → slot          at most one sealed and one open document
 *     open     id → document                for the sweep
 */
import type { Catalog, CatalogListener, ListQuery, Slot } from '../../contracts/catalog.ts';
import type { OnDamaged } from '../../contracts/store.ts';
import { checkFile } from '../../records/checks/file.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import { SortedNames } from '../../sorted-names.ts';
import { type DocumentFiles, Documents } from './documents.ts';

export interface LowdbCatalogOptions {
  files: DocumentFiles;
  onDamaged: OnDamaged;
}

interface Owner {
  names: SortedNames;
  slots: Map<string, Slot>;
}

/** Opens the catalog. Reads every document before it resolves. */
export async function openLowdbCatalog(options: LowdbCatalogOptions): Promise<LowdbCatalog> {
  const catalog = new LowdbCatalog(options);
  await catalog.load();
  return catalog;
}

export class LowdbCatalog implements Catalog {
  readonly #documents: Documents<FileDocument>;
  readonly #onDamaged: OnDamaged;
  readonly #byId = new Map<string, FileDocument>();
  readonly #open = new Map<string, FileDocument>();
  readonly #owners = new Map<string, Owner>();
  /** Ids of the blobs that hold bytes of files with several blobs. */
  readonly #linkedBlobs = new Set<string>();
  /** Ids of documents that could not be read. They count as existing, so that recovery does not remove their bytes. */
  readonly #damaged = new Set<string>();
  /** Newer id → older ids: documents that the newer one replaced or ended, and that are still on the disk. */
  readonly #superseded = new Map<string, string[]>();
  readonly #listeners: CatalogListener[] = [];

  constructor(options: LowdbCatalogOptions) {
    this.#documents = new Documents(options.files, checkFile);
    this.#onDamaged = options.onDamaged;
  }

  async load(): Promise<void> {
    const found: FileDocument[] = [];
    await this.#documents.load(
      (_, document) => found.push(document),
      (id, error) => {
        this.#damaged.add(id);
        this.#onDamaged(id, error);
      },
    );
    // In the order of the names, so that each name is appended to its list.
    const kept = this.#withoutObsolete(found).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const document of kept) this.#index(document);
  }

  /** Ids of documents that a newer one replaced, and that a crash left on the disk. The caller removes their bytes. */
  obsolete(): string[] {
    return [...this.#superseded.values()].flat();
  }

  find(owner: string, name: string): Promise<Slot> {
    return Promise.resolve(this.#slot(owner, name));
  }

  list({ owner, prefix, after, limit }: ListQuery): Promise<{ name: string; slot: Slot }[]> {
    const names = this.#owners.get(owner)?.names.page(prefix, after, limit) ?? [];
    return Promise.resolve(names.map((name) => ({ name, slot: this.#slot(owner, name) })));
  }

  listOpen(): Promise<FileDocument[]> {
    return Promise.resolve([...this.#open.values()]);
  }

  has(id: string): Promise<boolean> {
    return Promise.resolve(this.#byId.has(id) || this.#linkedBlobs.has(id) || this.#damaged.has(id));
  }

  get(id: string): Promise<FileDocument | null> {
    return Promise.resolve(this.#byId.get(id) ?? null);
  }

  async put(document: FileDocument): Promise<void> {
    const copy = Object.freeze({ ...document });
    await this.#documents.put(copy.id, copy, () => {
      const ended = this.#endedWith(copy);
      for (const document of ended) this.#unindex(document);
      if (ended.length > 0) {
        const before = this.#superseded.get(copy.id) ?? [];
        this.#superseded.set(copy.id, [...before, ...ended.map((document) => document.id)]);
      }
      this.#index(copy);
    });
    // The new document is stored and names the old ones, so a failure here loses nothing: the next start ignores them.
    await this.#removeSuperseded(copy.id).catch(() => undefined);
  }

  /**
   * Reads the document when the write begins: a document that was removed before must not reappear, not even until a later write. A file
   * that replaces this one during the write names it, and removes the document afterwards.
   */
  async amend(id: string, change: (document: FileDocument) => FileDocument): Promise<void> {
    let before: FileDocument | undefined;
    const make = (): FileDocument | null => {
      before = this.#byId.get(id);
      return before === undefined ? null : Object.freeze({ ...change(before) });
    };
    await this.#documents.change(id, make, (after) => {
      if (this.#byId.get(id) === before) this.#index(after);
    });
  }

  async remove(id: string): Promise<void> {
    // Remove these first: without the document that marks them as obsolete, they would reappear at the next start.
    await this.#removeSuperseded(id);
    await this.#documents.remove(id, () => {
      const document = this.#byId.get(id);
      if (document !== undefined) this.#unindex(document);
      this.#damaged.delete(id);
    });
  }

  subscribe(listener: CatalogListener): void {
    for (const document of this.#byId.values()) if (document.state === 'sealed') listener.added(document);
    this.#listeners.push(listener);
  }

  #emit(event: keyof CatalogListener, document: FileDocument): void {
    if (document.state === 'sealed') for (const listener of this.#listeners) listener[event](document);
  }

  async #removeSuperseded(id: string): Promise<void> {
    for (const older of this.#superseded.get(id) ?? []) {
      await this.#removeSuperseded(older);
      await this.#documents.remove(older, () => {
        const left = this.#superseded.get(id)?.filter((other) => other !== older) ?? [];
        if (left.length > 0) this.#superseded.set(id, left);
        else this.#superseded.delete(id);
      });
    }
  }

  #slot(owner: string, name: string): Slot {
    const slot = this.#owners.get(owner)?.slots.get(name);
    return { sealed: slot?.sealed ?? null, open: slot?.open ?? null };
  }

  /** The documents that cease to exist when this one is stored. */
  #endedWith(document: FileDocument): FileDocument[] {
    return endedIds(document).flatMap((id) => {
      const old = this.#byId.get(id);
      return old !== undefined && claimSameName(old, document) ? [old] : [];
    });
  }

  #index(document: FileDocument): void {
    const before = this.#byId.get(document.id);
    // The bytes are the same and only other fields changed: listeners are not called.
    const same = before !== undefined && sameVersion(before, document);
    if (before !== undefined) this.#unindex(before, same);
    this.#byId.set(document.id, document);
    for (const { id } of linkedBlobs(document) ?? []) this.#linkedBlobs.add(id);
    if (document.state === 'open') this.#open.set(document.id, document);
    let owner = this.#owners.get(document.owner);
    if (owner === undefined) {
      owner = { names: new SortedNames(), slots: new Map() };
      this.#owners.set(document.owner, owner);
    }
    const slotKey = slotKeyOf(document);
    let slot = owner.slots.get(slotKey);
    if (slot === undefined) {
      slot = { sealed: null, open: null };
      owner.slots.set(slotKey, slot);
      // Lists do not contain partial uploads: they are parts of files, not files.
      if (!document.resource?.partial && !document.aside) owner.names.add(document.name);
    }
    slot[document.state] = document;
    if (!same) this.#emit('added', document);
  }

  #unindex(document: FileDocument, quietly = false): void {
    this.#byId.delete(document.id);
    for (const { id } of linkedBlobs(document) ?? []) this.#linkedBlobs.delete(id);
    if (!quietly) this.#emit('removed', document);
    this.#open.delete(document.id);
    const owner = this.#owners.get(document.owner);
    const slotKey = slotKeyOf(document);
    const slot = owner?.slots.get(slotKey);
    if (owner === undefined || slot === undefined) return;
    if (slot[document.state]?.id === document.id) slot[document.state] = null;
    if (slot.sealed !== null || slot.open !== null) return;
    owner.slots.delete(slotKey);
    if (!document.aside) owner.names.remove(document.name);
    if (owner.slots.size === 0) this.#owners.delete(document.owner);
  }

  /** Filters out documents that were replaced before a crash, and the older one of two documents that claim one name. */
  #withoutObsolete(found: FileDocument[]): FileDocument[] {
    const replacedBy = new Map<string, FileDocument>();
    for (const document of found) {
      for (const id of endedIds(document)) replacedBy.set(id, document);
    }
    const claims = new Map<string, FileDocument>();
    for (const document of found.toSorted((a, b) => a.updatedAt - b.updatedAt || a.createdAt - b.createdAt)) {
      const newer = replacedBy.get(document.id);
      if (newer !== undefined && claimSameName(newer, document)) {
        this.#superseded.set(newer.id, [...(this.#superseded.get(newer.id) ?? []), document.id]);
        continue;
      }
      const slotKey = JSON.stringify([document.owner, slotKeyOf(document), document.state]);
      const other = claims.get(slotKey);
      // No document says that this one was replaced, so its bytes must not be removed. An operator has to decide.
      if (other !== undefined) this.#markConflict(other);
      claims.set(slotKey, document);
    }
    return [...claims.values()];
  }

  #markConflict(document: FileDocument): void {
    this.#damaged.add(document.id);
    this.#onDamaged(document.id, new Error('another document claims the same name and is newer'));
  }
}

/** True when both are sealed and have the same bytes. */
function sameVersion(a: FileDocument, b: FileDocument): boolean {
  return a.state === 'sealed' && b.state === 'sealed' && a.id === b.id && a.size === b.size && a.crc32 === b.crc32;
}

/** Ids of the sealed document that this one replaces and of the open ones that it ends. */
function endedIds({ state, replaces, ends = [] }: FileDocument): string[] {
  if (state !== 'sealed') return [];
  return replaces === null ? ends : [replaces, ...ends];
}

/** The key of a document in its owner's slots: the name, or the id of an upload that waits for the name. File names hold no control characters. */
function slotKeyOf({ id, name, aside }: FileDocument): string {
  return aside ? `\0${id}` : name;
}

/** True for two files that claim one name. */
function claimSameName(a: FileDocument, b: FileDocument): boolean {
  return a.id !== b.id && a.owner === b.owner && a.name === b.name;
}
