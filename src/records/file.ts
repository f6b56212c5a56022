/** Documents of files and uploads, as they are stored. */
import type { DigestAlgorithm } from '../protocol/http/digests.ts';
import type { Subject } from './principal.ts';

/** One file or one upload. Written when the document changes, not for every chunk. */
export interface FileDocument {
  id: string;
  owner: string;
  name: string;
  /** `open`: bytes may still arrive. `sealed`: complete. */
  state: 'open' | 'sealed';
  /** Declared by the client; fixed once known. Null: undeclared. When sealed: the size. */
  size: number | null;
  contentType: string | null;
  /** The declared digest of the whole file, which is verified before the file becomes complete. */
  reprDigest: { algorithm: DigestAlgorithm; value: string } | null;
  /** CRC-32 of the whole file, known when sealed. */
  crc32: number | null;
  createdAt: number;
  /** Time of the last change of this document. For an open upload the time of the last manifest record is authoritative. */
  updatedAt: number;
  completedAt: number | null;
  /** `completedAt` on the time line (`Clock.steady`); absent in documents of earlier versions. */
  sealedAt?: number;
  /** Last-Modified, if it differs from `completedAt`: see `last-modified.ts`. */
  modifiedAt?: number;
  /** Id of the complete file that this upload replaces when it is sealed. */
  replaces: string | null;
  /** Open: the date since which the upload is parked, because it received nothing for a long time. */
  staleAt?: number;
  /** Sealed: its size was never declared, and it was sealed after a silence. A chunk past its end continues it. */
  undeclared?: true;
  /** Open: the upload continues a complete file, which stays readable. Size, CRC-32 and date of that file. */
  continues?: { size: number; crc32: number; completedAt: number };
  /** The upload began with overwrite=true, whether or not the name had a file. */
  overwrites?: true;
  /** Open: another upload has the name. This one waits, and gets the name when it is complete. */
  aside?: true;
  /**
   * Ids of unfinished uploads of the same name. Open: uploads to be discarded with the seal, unless a request sends to them then. Sealed:
   * uploads that were discarded with the seal. This document records them, so that a crash leaves either them or the file.
   */
  ends?: string[];
  /** Present if the upload has its own address, to which requests append (tus, resumable uploads). */
  resource?: ResourceDocument;
}

/** The address of an upload, and what its client declared. */
export interface ResourceDocument {
  /** SHA-256 of the secret half of the address, in hexadecimal. */
  keyHash: string;
  /** The principal that created it. */
  creator: Subject;
  /** `Upload-Metadata` as received. */
  metadata: string | null;
  /** The upload is complete only when its client says so, whatever the number of stored bytes. */
  endsWhenTold?: true;
  /** A partial upload: a part of concatenated files, never a file by itself. */
  partial?: true;
  /** A partial upload whose bytes a concatenated file contains too. */
  joined?: true;
  /** A concatenated file: made of other uploads once all of them have all bytes. */
  final?: ConcatenationDocument;
}

/** The parts of a concatenated file. */
export interface ConcatenationDocument {
  /** Ids of partial uploads, in the order of their bytes. */
  parts: string[];
  /** `Upload-Concat` as received. */
  said: string;
}
