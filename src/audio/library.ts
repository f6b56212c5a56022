/**
 * Lists the audio files of each owner, however they were uploaded. A file belongs to the list if its media type, declared or derived from its
 * name, is an audio type. The content is parsed once, when it is first requested, and the result is stored.
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
  /** Logs a problem that no response can report. */
  warn(message: string, details: object): void;
}

/** A file that contains audio, and its description. */
export interface AudioEntry {
  file: FileDocument;
  document: AudioDocument & { sound: Sound };
}

export interface AudioPage {
  entries: AudioEntry[];
  /** Null on the last page. */
  nextCursor: string | null;
}

/** The files of one owner. */
interface OwnerFiles {
  files: Map<string, FileDocument>;
  /** Keys of `files`, oldest upload first; null until a list is requested. */
  keys: SortedNames | null;
}

/** Finds and describes audio files. */
export class AudioLibrary {
  readonly #deps: AudioDeps;
  readonly #byOwner = new Map<string, OwnerFiles>();
  readonly #sounds = new SoundReader();
  /** Ids of files whose upload is storing a description. */
  readonly #describing = new Set<string>();

  private constructor(deps: AudioDeps) {
    this.#deps = deps;
  }

  /** Follows the catalog, and deletes the descriptions of files that no longer exist. */
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
    let owned = this.#byOwner.get(file.owner);
    if (!owned) {
      owned = { files: new Map(), keys: null };
      this.#byOwner.set(file.owner, owned);
    }
    if (!owned.files.has(file.id)) owned.keys?.add(keyOf(file));
    owned.files.set(file.id, file);
  }

  #removed({ id, owner }: FileDocument): void {
    const owned = this.#byOwner.get(owner);
    const file = owned?.files.get(id);
    if (!owned || !file) return;
    owned.files.delete(id);
    owned.keys?.remove(keyOf(file));
    if (owned.files.size === 0) this.#byOwner.delete(owner);
    this.#deps.documents.remove(id).catch((error: unknown) => {
      this.#deps.warn('the description of a deleted audio file could not be deleted; the next start tries again', {
        id,
        error,
      });
    });
  }

  /**
   * A page of an owner's audio files, oldest first. Omits files whose content is not audio, and files that were damaged before they were
   * parsed.
   */
  async page(owner: string, cursor: string | null, limit: number): Promise<AudioPage> {
    const owned = this.#byOwner.get(owner);
    if (!owned) return { entries: [], nextCursor: null };
    owned.keys ??= new SortedNames([...owned.files.values()].map(keyOf));
    const keys = owned.keys.page('', cursor, limit + 1);
    const entries: AudioEntry[] = [];
    for (const key of keys.slice(0, limit)) {
      const file = owned.files.get(key.slice(key.indexOf('.') + 1));
      const entry = file && (await this.#entry(file).catch(nullIfDamaged));
      if (entry) entries.push(entry);
    }
    return { entries, nextCursor: keys.length > limit ? (keys[limit - 1] ?? null) : null };
  }

  /** Finds an audio file of an owner. @throws LadingError `file_damaged` if the file was damaged before it was parsed */
  async find(owner: string, id: string): Promise<AudioEntry | null> {
    const file = this.#byOwner.get(owner)?.files.get(id);
    return file ? await this.#entry(file) : null;
  }

  /**
   * Parses bytes that are stored, or about to be, for an owner. Null if they are not audio or malformed.
   * @throws LadingError `unsupported_media_type` if parsing exceeds the limits, `overloaded`, `shutting_down`
   */
  soundOf(owner: string, stored: StoredBytes): Promise<Sound | null> {
    return this.#sounds.read(owner, stored);
  }

  close(): Promise<void> {
    return this.#sounds.close();
  }

  /** Stores the description of a file that was just uploaded. Null if the file was deleted meanwhile. */
  async describe(owner: string, document: AudioDocument & { sound: Sound }): Promise<AudioEntry | null> {
    this.#describing.add(document.id);
    try {
      await this.#deps.documents.put(document);
    } finally {
      this.#describing.delete(document.id);
    }
    const file = this.#byOwner.get(owner)?.files.get(document.id);
    if (file) return { file, document };
    // The file was deleted during the write.
    await this.#deps.documents.remove(document.id);
    return null;
  }

  async #entry(file: FileDocument): Promise<AudioEntry | null> {
    const document = (await this.#deps.documents.find(file.id)) ?? (await this.#inspect(file));
    const { sound } = document;
    return sound ? { file, document: { ...document, sound } } : null;
  }

  /** Parses a file and stores the result. */
  async #inspect(file: FileDocument): Promise<AudioDocument> {
    const { id, name, size, owner } = file;
    await this.#deps.assertUndamaged(file);
    const reader = await openBytes(this.#deps.blobs, file).catch(() => null);
    const withoutSound: AudioDocument = { id, description: null, originalName: name, sound: null };
    if (!reader) return withoutSound;
    try {
      const stored = { size: size ?? 0, read: reader.read.bind(reader) };
      const sound = await this.soundOf(owner, stored).catch((error: unknown) => {
        // Recorded as a file without audio, because another attempt would exceed the limits too.
        if (error instanceof LadingError && error.code === 'unsupported_media_type') return null;
        throw error;
      });
      const document = { ...withoutSound, sound };
      // The upload of the file may have stored newer data, or may be about to.
      const known = this.#describing.has(id) || (await this.#deps.documents.find(id)) !== null;
      if (!known) await this.#deps.documents.put(document);
      if (!this.#byOwner.get(owner)?.files.has(id)) await this.#deps.documents.remove(id);
      return document;
    } finally {
      reader.release();
    }
  }
}

/** Key that sorts files by the time at which their upload began. */
function keyOf({ id, createdAt }: FileDocument): string {
  return `${String(createdAt).padStart(15, '0')}.${id}`;
}

/** Omits a damaged file from a page. It is parsed again for the next list. */
function nullIfDamaged(error: unknown): null {
  if (error instanceof LadingError && error.code === 'file_damaged') return null;
  throw error;
}
