/** Documents of files and uploads, as they are stored. */
import type { DigestAlgorithm } from '../protocol/http/digests.ts';
import type { Subject } from './principal.ts';

/** One file or one upload on its way. Written when something about the file changes, never per chunk. */
export interface FileDocument {
  id: string;
  owner: string;
  name: string;
  /** `open`: bytes may still come. `sealed`: complete for good. */
  state: 'open' | 'sealed';
  /** Declared by the client; fixed once known. Null: undeclared. When sealed: the size. */
  size: number | null;
  contentType: string | null;
  /** What the client said the whole file's digest is, checked before it becomes complete. */
  reprDigest: { algorithm: DigestAlgorithm; value: string } | null;
  /** CRC-32 of the whole file, known when sealed. */
  crc32: number | null;
  createdAt: number;
  /** Of the last change that was written here; an open upload's own truth is the time of its last manifest record. */
  updatedAt: number;
  completedAt: number | null;
  /** The same on the time line (`Clock.steady`); absent in documents of earlier versions. */
  sealedAt?: number;
  /** Last-Modified, where a date of before says something else: see `last-modified.ts`. */
  modifiedAt?: number;
  /** Id of the complete file that this upload replaces when it is sealed. */
  replaces: string | null;
  /** Open: date since when it is parked, for nothing came for long. */
  staleAt?: number;
  /** Sealed: nobody said its size, and silence ended it. A chunk past its end continues it. */
  undeclared?: true;
  /** Open: it continues a file that was complete, which stays readable. Size, CRC-32 and date of that one. */
  continues?: { size: number; crc32: number; completedAt: number };
  /** It was begun with overwrite=true, whether there was a file of its name or not. */
  overwrites?: true;
  /** Open: it was begun beside another unfinished upload of its name, and takes the name once it is complete. */
  aside?: true;
  /**
   * Ids of unfinished uploads of the same name. Open: those that end with it, unless somebody sends to them then. Sealed: those that ended
   * with it; the document says so, so that a crash leaves them or the file and never neither.
   */
  ends?: string[];
  /** Where the bytes are, one piece after the other, if not in the file's own blob; each of them sealed under an id of its own. */
  pieces?: { id: string; size: number }[];
  /** It has an address of its own, at which bytes of any length are appended (tus). */
  resource?: ResourceDocument;
}

/** An upload that is found by its own address. */
export interface ResourceDocument {
  /** SHA-256 of the secret half of the address, in hexadecimal. */
  keyHash: string;
  /** Who began it. */
  creator: Subject;
  /** `Upload-Metadata` as it came. */
  metadata: string | null;
  /** Complete only when whoever appends says so, however many bytes are there. */
  endsWhenTold?: true;
  /** A piece of files to come, never a file by itself. */
  partial?: true;
  /** Of a piece: a file has its bytes too. */
  joined?: true;
  /** Made of other uploads, once all of them are whole. */
  final?: ConcatenationDocument;
}

export interface ConcatenationDocument {
  /** Ids of partial uploads, in the order of their bytes. */
  parts: string[];
  /** `Upload-Concat` as it came. */
  said: string;
}
