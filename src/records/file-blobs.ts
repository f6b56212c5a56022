/**
 * Which blobs hold the bytes of a file. As a rule that is one blob with the id of the file. A concatenated file has linked blobs instead, and
 * its own blob is empty. Only this module and the check of stored documents know the field, so every reader of a file gets its bytes.
 */
import type { FileDocument } from './file.ts';

/** A sealed blob that holds some bytes of a file. */
export interface FileBlob {
  id: string;
  /** Bytes. */
  size: number;
}

/** The stored form. */
interface StoredFile {
  id: string;
  /** The blobs that contain the bytes, in order. Each has its own id. */
  pieces?: readonly FileBlob[];
}

/** The blobs that hold the bytes of a concatenated file, in order. Null: the blob of the file holds them. */
export function linkedBlobs(file: Pick<FileDocument, 'id'>): readonly FileBlob[] | null {
  return (file as StoredFile).pieces ?? null;
}

/** The document of a file whose bytes are in these blobs. */
export function withLinkedBlobs(file: FileDocument, blobs: readonly FileBlob[]): FileDocument {
  const stored: FileDocument & StoredFile = { ...file, pieces: blobs };
  return stored;
}
