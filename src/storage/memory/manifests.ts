/** The journals of uploads in memory. */
import type { Manifest, ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import { assertFileId } from '../names.ts';
import type { Images, StoredFile } from './images.ts';
import { notFound, type Run } from './run.ts';

export class MemoryManifests implements ManifestStore {
  readonly #images: Images;
  readonly #run: Run;

  constructor(images: Images, run: Run) {
    this.#images = images;
    this.#run = run;
  }

  async create(id: string): Promise<void> {
    assertFileId(id);
    await this.#run.step('manifests.create', () => {
      const file = this.#images.visible.get(id) ?? { bytes: null, sealed: false, journal: null };
      if (file.journal) throw new Error('the journal exists already');
      this.#images.visible.set(id, { ...file, journal: [] });
    });
  }

  async read(id: string): Promise<ManifestRecord[]> {
    return this.#run.step('manifests.read', () => [...this.#journal(id).journal]);
  }

  async open(id: string): Promise<Manifest> {
    await this.#run.step('manifests.open', () => this.#journal(id));
    let appending = false;
    return {
      append: async (records, durable) => {
        if (appending) throw new Error('one append at a time');
        appending = true;
        try {
          await this.#append(id, records, durable);
        } finally {
          appending = false;
        }
      },
      sync: () =>
        this.#run.step('manifest.sync', () => {
          this.#journal(id);
          this.#images.syncJournal(id);
        }),
      release: () => undefined,
    };
  }

  async rewrite(id: string, records: readonly ManifestRecord[]): Promise<void> {
    await this.#run.step('manifests.rewrite', () => {
      const file = this.#images.visible.get(id);
      if (!file) throw notFound();
      file.journal = [...records];
      this.#images.syncJournal(id);
    });
  }

  async #append(id: string, records: readonly ManifestRecord[], durable: boolean): Promise<void> {
    await this.#run.checkpoint('manifest.append', 'before');
    const file = this.#journal(id);
    const before = file.journal;
    file.journal = [...before, ...records.map((record) => ({ ...record }))];
    if (durable) this.#images.syncJournal(id);
    try {
      await this.#run.checkpoint('manifest.append', 'after');
    } catch (error) {
      if (!this.#run.hasEnded) this.#undoAppend(id, file, before);
      throw error;
    }
  }

  #undoAppend(id: string, file: StoredFile, before: readonly ManifestRecord[]): void {
    file.journal = before;
    const durable = this.#images.durable.get(id);
    if (durable?.journal && durable.journal.length > before.length) durable.journal = before;
  }

  #journal(id: string): StoredFile & { journal: readonly ManifestRecord[] } {
    const file = this.#images.visible.get(id);
    if (!file?.journal) throw notFound();
    return file as StoredFile & { journal: readonly ManifestRecord[] };
  }
}
