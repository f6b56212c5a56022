/** A collection of documents on disk whose writes and deletions can be made to fail. */
import type { TestContext } from 'node:test';
import type { Collection } from '../../../src/contracts/collection.ts';
import type { Check, CollectionName } from '../../../src/contracts/store.ts';
import { LadingError } from '../../../src/errors.ts';
import { openLowdbCollection } from '../../../src/storage/lowdb/collection.ts';
import { openTestStore } from './storage.ts';

export interface FailingStore<T> {
  store: Collection<T>;
  /** Makes all later changes fail as on a full disk, or work again. */
  fail(failing: boolean): void;
}

export async function failingStore<T extends { id: string }>(
  t: TestContext,
  name: CollectionName,
  check: Check<T>,
): Promise<FailingStore<T>> {
  const { documents } = await openTestStore(t);
  const real = await openLowdbCollection<T>({
    files: documents(name),
    check,
    idOf: ({ id }) => id,
    onDamaged: (key, error) => {
      throw new Error(`the document ${key} is damaged`, { cause: error });
    },
  });
  let failing = false;
  const tryTo = async <R>(work: () => Promise<R>): Promise<R> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (failing) throw new LadingError('insufficient_storage', 'There is no room left.');
    return work();
  };
  const store: Collection<T> = {
    find: (id) => real.find(id),
    list: () => real.list(),
    put: (document) => tryTo(() => real.put(document)),
    remove: (id) => tryTo(() => real.remove(id)),
  };
  return {
    store,
    fail: (next) => {
      failing = next;
    },
  };
}
