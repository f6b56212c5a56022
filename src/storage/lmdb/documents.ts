/** Documents of files as JSON text, in the ledger. */
import { fileKey, idOf } from './keys.ts';
import type { Ledger } from './ledger.ts';

export class LedgerDocuments {
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** The ids of all documents. */
  list(): Promise<string[]> {
    return Promise.resolve([...this.#ledger.documents.getKeys()].map(idOf));
  }

  /** Null if the document does not exist. */
  read(key: string): Promise<string | null> {
    const value = this.#ledger.documents.get(fileKey(key));
    return Promise.resolve(value === undefined ? null : Buffer.from(value).toString('utf8'));
  }

  /** Atomic; durable when it resolves. */
  async write(key: string, text: string): Promise<void> {
    await this.#ledger.commit((write) => write.put('documents', fileKey(key), Buffer.from(text, 'utf8')));
  }

  /** Durable when it resolves; false if the document does not exist. */
  async remove(key: string): Promise<boolean> {
    const { documents } = this.#ledger;
    const existed = documents.doesExist(fileKey(key));
    await this.#ledger.commit((write) => write.remove('documents', fileKey(key)));
    return existed;
  }
}
