/**
 * Whose audio files there are, however they were uploaded, and what is known of each. A file belongs here when its media type, declared or
 * by its name, is one of audio; what it really holds is looked at once, when somebody asks, and kept beside it.
 */

import type { BlobStore } from '../contracts/blobs.ts';
import type { Catalog } from '../contracts/catalog.ts';
import type { Collection } from '../contracts/collection.ts';
import { openBytes } from '../engine/files/file-blobs.ts';
import { LadingError } from '../errors.ts';
import { contentTypeFor } from '../protocol/http/media-types.ts';
import type { AudioDocument, Sound } from '../records/audio.ts';
import type { FileDocument } from '../records/file.ts';
import { SortedNames } from '../sorted-names.ts';
import type { StoredBytes } from './ranges.ts';
import { SoundReader } from './sound-reader.ts';

export interface AudioDeps {
  documents: Collection<AudioDocument>;
  catalog: Catalog;
  blobs: BlobStore;
  /** @throws LadingError `file_damaged` when bytes of a complete file are missing */
  assertUndamaged(file: FileDocument): Promise<void>;
  /** The log, for what no request can be told. */
  warn(message: string, details: object): void;
}

/** A file and what is to be heard in it. */
export interface AudioEntry {
  file: FileDocument;
  document: AudioDocument & { sound: Sound };
}

export interface AudioPage {
  entries: AudioEntry[];
  /** Null at the end. */
  nextCursor: string | null;
}

/** Files of one owner, oldest upload first. */
interface OwnerFiles {
  files: Map<string, FileDocument>;
  /** Sorted keys of `files`; null until somebody asks for a list. */
  keys: SortedNames | null;
}

export class AudioLibrary {
  readonly #deps: AudioDeps;
  readonly #byOwner = new Map<string, OwnerFiles>();
  readonly #sounds = new SoundReader();
  /** Files whose uploader is telling what they are. */
  readonly #describing = new Set<string>();

  private constructor(deps: AudioDeps) {
    this.#deps = deps;
  }

  /** Removes what a crash left of files that are gone. */
  static async open(deps: AudioDeps): Promise<AudioLibrary> {
    const library = new AudioLibrary(deps);
    deps.catalog.subscribe({ added: (file) => library.#added(file), removed: (file) => library.#removed(file) });
    for (const { id } of await deps.documents.list()) {
      if (!(await deps.catalog.has(id))) await deps.documents.remove(id);
    }
    return library;
  }

  #added(file: FileDocument): void {
    if (!(file.contentType ?? contentTypeFor(file.name)).startsWith('audio/')) return;
    let shelf = this.#byOwner.get(file.owner);
    if (!shelf) {
      shelf = { files: new Map(), keys: null };
      this.#byOwner.set(file.owner, shelf);
    }
    if (!shelf.files.has(file.id)) shelf.keys?.add(keyOf(file));
    shelf.files.set(file.id, file);
  }

  #removed({ id, owner }: FileDocument): void {
    const shelf = this.#byOwner.get(owner);
    const file = shelf?.files.get(id);
    if (!shelf || !file) return;
    shelf.files.delete(id);
    shelf.keys?.remove(keyOf(file));
    if (shelf.files.size === 0) this.#byOwner.delete(owner);
    this.#deps.documents.remove(id).catch((error: unknown) => {
      this.#deps.warn('the description of a deleted audio file could not be removed; the next start does', {
        id,
        error,
      });
    });
  }

  /**
   * A page of an owner's audio files, the oldest first. Files that only claim to be audio are not in it, nor those that lost bytes before
   * they were looked at.
   */
  async page(owner: string, cursor: string | null, limit: number): Promise<AudioPage> {
    const shelf = this.#byOwner.get(owner);
    if (!shelf) return { entries: [], nextCursor: null };
    shelf.keys ??= new SortedNames([...shelf.files.values()].map(keyOf));
    const keys = shelf.keys.page('', cursor, limit + 1);
    const entries: AudioEntry[] = [];
    for (const key of keys.slice(0, limit)) {
      const file = shelf.files.get(key.slice(key.indexOf('.') + 1));
      const entry = file && (await this.#entry(file).catch(nullIfDamaged));
      if (entry) entries.push(entry);
    }
    return { entries, nextCursor: keys.length > limit ? (keys[limit - 1] ?? null) : null };
  }

  /** Null when this owner has no audio file of this id. @throws LadingError `file_damaged` when nobody can tell any more */
  async find(owner: string, id: string): Promise<AudioEntry | null> {
    const file = this.#byOwner.get(owner)?.files.get(id);
    return file ? await this.#entry(file) : null;
  }

  /**
   * What is to be heard in bytes of this owner's, stored or about to be. Null when it is no audio, or broken.
   * @throws LadingError `unsupported_media_type` when it takes too much to find out, `overloaded`, `shutting_down`
   */
  soundOf(owner: string, stored: StoredBytes): Promise<Sound | null> {
    return this.#sounds.read(owner, stored);
  }

  close(): Promise<void> {
    return this.#sounds.close();
  }

  /** Keeps what is known of a file that was just uploaded. */
  async describe(owner: string, document: AudioDocument & { sound: Sound }): Promise<AudioEntry | null> {
    this.#describing.add(document.id);
    try {
      await this.#deps.documents.put(document);
    } finally {
      this.#describing.delete(document.id);
    }
    const file = this.#byOwner.get(owner)?.files.get(document.id);
    if (file) return { file, document };
    // Deleted meanwhile.
    await this.#deps.documents.remove(document.id);
    return null;
  }

  async #entry(file: FileDocument): Promise<AudioEntry | null> {
    const document = (await this.#deps.documents.find(file.id)) ?? (await this.#inspect(file));
    const { sound } = document;
    return sound ? { file, document: { ...document, sound } } : null;
  }

  async #inspect(file: FileDocument): Promise<AudioDocument> {
    const { id, name, size, owner } = file;
    await this.#deps.assertUndamaged(file);
    const reader = await openBytes(this.#deps.blobs, file).catch(() => null);
    const nothing: AudioDocument = { id, description: null, originalName: name, sound: null };
    if (!reader) return nothing;
    try {
      const stored = { size: size ?? 0, read: reader.read.bind(reader) };
      const sound = await this.soundOf(owner, stored).catch((error: unknown) => {
        // It stays what it is: looking again would cost as much again.
        if (error instanceof LadingError && error.code === 'unsupported_media_type') return null;
        throw error;
      });
      const document = { ...nothing, sound };
      // A running upload of the file has newer data.
      const known = this.#describing.has(id) || (await this.#deps.documents.find(id)) !== null;
      if (!known) await this.#deps.documents.put(document);
      if (!this.#byOwner.get(owner)?.files.has(id)) await this.#deps.documents.remove(id);
      return document;
    } finally {
      reader.release();
    }
  }
}

/** Sorts by the time of the beginning. */
function keyOf({ id, createdAt }: FileDocument): string {
  return `${String(createdAt).padStart(15, '0')}.${id}`;
}

/** What was damaged before it was looked at is not known to be audio; it is looked at again the next time. */
function nullIfDamaged(error: unknown): null {
  if (error instanceof LadingError && error.code === 'file_damaged') return null;
  throw error;
}
