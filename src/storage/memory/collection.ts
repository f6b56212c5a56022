/** Small documents of one kind in memory. */
import type { Collection } from '../../contracts/collection.ts';
import type { DocumentKind, DocumentReports } from '../../contracts/store.ts';
import { assertDocumentId, isDocumentId } from '../names.ts';
import { KeyedQueues } from '../queues.ts';
import { frozenCopy } from './frozen-copy.ts';
import type { Run } from './run.ts';

export class MemoryCollection<T extends object> implements Collection<T> {
  /** What a restart finds: the documents as JSON. */
  readonly #stored: Map<string, string>;
  readonly #idOf: (document: T) => string;
  readonly #run: Run;
  readonly #queues = new KeyedQueues();
  readonly #documents = new Map<string, T>();

  constructor(stored: Map<string, string>, kind: DocumentKind<T>, reports: DocumentReports, run: Run) {
    this.#stored = stored;
    this.#idOf = kind.idOf;
    this.#run = run;
    for (const [id, text] of stored) {
      try {
        const document = kind.check(JSON.parse(text), id, (correction) => reports.onCorrected?.(id, correction));
        this.#documents.set(id, Object.freeze(document));
      } catch (error) {
        reports.onDamaged(id, error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  find(id: string): Promise<T | null> {
    return this.#run.step('collection.find', () => this.#documents.get(id) ?? null);
  }

  list(): Promise<T[]> {
    return this.#run.step('collection.list', () => {
      const byId = [...this.#documents].sort(([a], [b]) => (a < b ? -1 : 1));
      return byId.map(([, document]) => document);
    });
  }

  async put(document: T): Promise<void> {
    const copy = frozenCopy(document);
    const id = this.#idOf(copy);
    assertDocumentId(id);
    await this.#queues.run(id, async () => {
      await this.#run.checkpoint('collection.put', 'before');
      this.#stored.set(id, JSON.stringify(copy));
      await this.#run.checkpoint('collection.put', 'after');
      this.#documents.set(id, copy);
    });
  }

  async remove(id: string): Promise<boolean> {
    if (!isDocumentId(id)) return false;
    return this.#queues.run(id, async () => {
      await this.#run.checkpoint('collection.remove', 'before');
      const existed = this.#stored.delete(id);
      await this.#run.checkpoint('collection.remove', 'after');
      this.#documents.delete(id);
      return existed;
    });
  }
}
