/** Listeners for changes of a name, and the keys that identify names. */
import { randomBytes } from 'node:crypto';
import type { FileDocument } from '../../records/file.ts';

/** Calls the listeners of a name when its file or upload changes. */
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

  notify(owner: string, name: string): void {
    const set = this.#listeners.get(slotKey(owner, name));
    if (set) for (const listener of set) listener();
  }
}

/** The key of a name. Ids of owners contain no control characters, so the separator makes keys unique. */
export function slotKey(owner: string, name: string): string {
  return `${owner}\0${name}`;
}

/** The key of an upload: by its name, or by its id while it waits for the name. */
export function uploadKey({ id, owner, name, aside }: Pick<FileDocument, 'id' | 'owner' | 'name' | 'aside'>): string {
  return slotKey(owner, aside ? `\0${id}` : name);
}

/** A name that no file can have, for an upload that has no name yet. No request can find it. */
export function noName(): string {
  return `\0${randomBytes(16).toString('hex')}`;
}
