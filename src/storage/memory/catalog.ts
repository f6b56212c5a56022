/** The documents of files in memory. Every change is one transaction. */
import type { Catalog, CatalogListener, ListQuery, Slot } from '../../contracts/catalog.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';
import { SortedNames } from '../../sorted-names.ts';
import { KeyedQueues } from '../queues.ts';
import { frozenCopy } from './frozen-copy.ts';
import type { Run } from './run.ts';

interface Owner {
  /** Names that listings show. */
  names: SortedNames;
  /** By name; uploads that wait for a name by their id. */
  slots: Map<string, Slot>;
}

export class MemoryCatalog implements Catalog {
  /** What a restart finds. */
  readonly #stored: Map<string, FileDocument>;
  readonly #run: Run;
  readonly #queues = new KeyedQueues();
  readonly #byId = new Map<string, FileDocument>();
  readonly #owners = new Map<string, Owner>();
  readonly #listeners: CatalogListener[] = [];

  constructor(stored: Map<string, FileDocument>, run: Run) {
    this.#stored = stored;
    this.#run = run;
    for (const document of stored.values()) this.#add(document);
  }

  find(owner: string, name: string): Promise<Slot> {
    return this.#run.step('catalog.find', () => this.#slot(owner, name));
  }

  list({ owner, prefix, after, limit }: ListQuery): Promise<{ name: string; slot: Slot }[]> {
    return this.#run.step('catalog.list', () => {
      const names = this.#owners.get(owner)?.names.page(prefix, after, limit) ?? [];
      return names.map((name) => ({ name, slot: this.#slot(owner, name) }));
    });
  }

  listOpen(): Promise<FileDocument[]> {
    return this.#run.step('catalog.listOpen', () => [...this.#byId.values()].filter(({ state }) => state === 'open'));
  }

  has(id: string): Promise<boolean> {
    return this.#run.step('catalog.has', () => {
      if (this.#byId.has(id)) return true;
      return [...this.#byId.values()].some((file) => linkedBlobs(file)?.some((blob) => blob.id === id));
    });
  }

  get(id: string): Promise<FileDocument | null> {
    return this.#run.step('catalog.get', () => this.#byId.get(id) ?? null);
  }

  put(document: FileDocument): Promise<void> {
    const copy = frozenCopy(document);
    return this.#queues.run(copy.id, async () => {
      await this.#run.checkpoint('catalog.put', 'before');
      for (const { id } of endedBy(copy, this.#stored)) this.#stored.delete(id);
      this.#stored.set(copy.id, copy);
      await this.#run.checkpoint('catalog.put', 'after');
      for (const ended of endedBy(copy, this.#byId)) this.#drop(ended);
      this.#replace(copy);
    });
  }

  amend(id: string, change: (document: FileDocument) => FileDocument): Promise<void> {
    return this.#queues.run(id, async () => {
      await this.#run.checkpoint('catalog.amend', 'before');
      const before = this.#byId.get(id);
      if (!before || !this.#stored.has(id)) return;
      const after = frozenCopy(change(before));
      this.#stored.set(id, after);
      await this.#run.checkpoint('catalog.amend', 'after');
      if (this.#byId.get(id) === before) this.#replace(after);
    });
  }

  remove(id: string): Promise<void> {
    return this.#queues.run(id, async () => {
      await this.#run.checkpoint('catalog.remove', 'before');
      this.#stored.delete(id);
      await this.#run.checkpoint('catalog.remove', 'after');
      const document = this.#byId.get(id);
      if (document) this.#drop(document);
    });
  }

  subscribe(listener: CatalogListener): void {
    for (const document of this.#byId.values()) if (document.state === 'sealed') listener.added(document);
    this.#listeners.push(listener);
  }

  #slot(owner: string, name: string): Slot {
    return { sealed: null, open: null, ...this.#owners.get(owner)?.slots.get(name) };
  }

  #replace(document: FileDocument): void {
    const before = this.#byId.get(document.id);
    // The bytes are the same and only other fields changed: listeners are not called.
    const same = before !== undefined && isSameVersion(before, document);
    if (before) this.#remove(before);
    this.#add(document);
    if (same) return;
    if (before) this.#emit('removed', before);
    this.#emit('added', document);
  }

  #drop(document: FileDocument): void {
    this.#remove(document);
    this.#emit('removed', document);
  }

  #emit(event: keyof CatalogListener, document: FileDocument): void {
    if (document.state === 'sealed') for (const listener of this.#listeners) listener[event](document);
  }

  #add(document: FileDocument): void {
    const { id, owner, name, state, aside, resource } = document;
    this.#byId.set(id, document);
    const documents = this.#owners.get(owner) ?? { names: new SortedNames(), slots: new Map() };
    this.#owners.set(owner, documents);
    const slot = documents.slots.get(slotKeyOf(document)) ?? { sealed: null, open: null };
    if (!documents.slots.has(slotKeyOf(document)) && !aside && !resource?.partial) documents.names.add(name);
    documents.slots.set(slotKeyOf(document), slot);
    slot[state] = document;
  }

  #remove(document: FileDocument): void {
    const { id, owner, name, state, aside } = document;
    this.#byId.delete(id);
    const documents = this.#owners.get(owner);
    const slot = documents?.slots.get(slotKeyOf(document));
    if (!documents || !slot) return;
    if (slot[state]?.id === id) slot[state] = null;
    if (slot.sealed || slot.open) return;
    documents.slots.delete(slotKeyOf(document));
    if (!aside) documents.names.remove(name);
    if (documents.slots.size === 0) this.#owners.delete(owner);
  }
}

/** The documents of the same name that a sealed document replaces or ends. */
function endedBy(document: FileDocument, documents: Map<string, FileDocument>): FileDocument[] {
  const { state, replaces, ends = [] } = document;
  if (state !== 'sealed') return [];
  return [replaces, ...ends].flatMap((id) => {
    const ended = id === null ? undefined : documents.get(id);
    const claimsSameName = ended?.owner === document.owner && ended.name === document.name && ended.id !== document.id;
    return ended && claimsSameName ? [ended] : [];
  });
}

/** True when both are sealed and have the same bytes. */
function isSameVersion(a: FileDocument, b: FileDocument): boolean {
  return a.state === 'sealed' && b.state === 'sealed' && a.size === b.size && a.crc32 === b.crc32;
}

/** The key of a document in its owner's slots. File names contain no control characters. */
function slotKeyOf({ id, name, aside }: FileDocument): string {
  return aside ? `\0${id}` : name;
}
