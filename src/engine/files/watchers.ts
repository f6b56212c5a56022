/** Who watches a name, and how names are kept apart. */
import { randomBytes } from 'node:crypto';
import type { FileDocument } from '../../records/file.ts';

/** Tells whoever watches a name that something about it changed. */
export class Watchers {
  readonly #listeners = new Map<string, Set<() => void>>();

  watch(owner: string, name: string, listener: () => void): () => void {
    const key = slotKey(owner, name);
    const set = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, set.add(listener));
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.#listeners.get(key) === set) this.#listeners.delete(key);
    };
  }

  changed(owner: string, name: string): void {
    const set = this.#listeners.get(slotKey(owner, name));
    if (set) for (const listener of set) listener();
  }
}

/** One key a name: an owner's id holds no control character, so the two parts cannot run into each other. */
export function slotKey(owner: string, name: string): string {
  return `${owner}\0${name}`;
}

/** The key of an upload: of its name, or of its id as long as it waits for the name beside others. */
export function uploadKey({ id, owner, name, aside }: Pick<FileDocument, 'id' | 'owner' | 'name' | 'aside'>): string {
  return slotKey(owner, aside ? `\0${id}` : name);
}

/** A name that no file can have, for an upload that has none: nobody finds it there. */
export function noName(): string {
  return `\0${randomBytes(16).toString('hex')}`;
}
