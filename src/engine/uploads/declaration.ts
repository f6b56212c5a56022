/** What requests declare about a whole file: its size, digest and type. A stored declaration cannot be changed. */
import { LadingError } from '../../errors.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileDocument } from '../../records/file.ts';
import { type FileBlob, withLinkedBlobs } from '../../records/file-blobs.ts';
import { uploadHasAddress } from '../files/refusals.ts';

/** What a request declares. Null: not declared. */
export interface Declaration {
  /** In bytes. */
  size: number | null;
  reprDigest: Digest | null;
  contentType: string | null;
  /** The request declares the end of an upload that needs an explicit end. */
  isEnd?: boolean;
  /** Parks the upload as of this date, because it received nothing for a long time. Ignored if the same commit has bytes for it. */
  staleAt?: number;
  /** Marks a partial upload whose bytes a concatenated file contains. */
  isConcatenated?: boolean;
  /** The request addresses the file by name. An upload with its own URL refuses such requests. */
  byName?: boolean;
  /** Gives a waiting upload its name. `replaces`: id of the file that it will replace. */
  takesName?: { replaces: string | null };
  /** The blobs that hold the bytes, if not the upload's own blob. */
  linkedBlobs?: readonly FileBlob[];
  /** No document is written before the file is complete. */
  atOnce?: boolean;
}

/**
 * Compares a declaration with what earlier requests declared.
 * @param storedEnd end of the highest stored byte
 * @throws LadingError `size_conflict`, `invalid_request`, `already_exists`
 */
export function checkDeclaration(document: FileDocument, declaration: Declaration, storedEnd: number): void {
  const { size, reprDigest, byName } = declaration;
  if (byName && document.resource) throw uploadHasAddress();
  if (size !== null && document.size !== null && size !== document.size) {
    throw new LadingError('size_conflict', `The size of this file was declared as ${document.size}, not ${size}.`, {
      expected: document.size,
      actual: size,
    });
  }
  if (size !== null && size < storedEnd) {
    throw new LadingError(
      'size_conflict',
      `${storedEnd} bytes of this file are stored already; its size cannot be ${size}.`,
      { expected: storedEnd, actual: size },
    );
  }
  const known = document.reprDigest;
  if (reprDigest && known && (known.algorithm !== reprDigest.algorithm || known.value !== encodeDigest(reprDigest))) {
    throw new LadingError(
      'invalid_request',
      'Repr-Digest differs from the one that an earlier request declared for this file. Send the same digest, or start over.',
    );
  }
}

/** The document with the declaration added, or the same object when the declaration changes nothing. */
export function withDeclaration(document: FileDocument, declaration: Declaration): FileDocument {
  const size = document.size ?? declaration.size;
  const contentType = declaration.contentType ?? document.contentType;
  const reprDigest =
    document.reprDigest ??
    (declaration.reprDigest && {
      algorithm: declaration.reprDigest.algorithm,
      value: encodeDigest(declaration.reprDigest),
    });
  if (declaration.takesName) return document.aside ? withName(document, declaration.takesName) : document;
  if (declaration.linkedBlobs) return withLinkedBlobs(document, declaration.linkedBlobs);
  const { resource } = document;
  const isEnd = declaration.isEnd === true && resource?.endsWhenTold === true;
  const same = size === document.size && contentType === document.contentType && reprDigest === document.reprDigest;
  const { staleAt } = declaration;
  const joined = declaration.isConcatenated === true && resource !== undefined;
  if (same && !isEnd && !joined && staleAt === undefined) return document;
  const declared = { ...document, size, contentType, reprDigest, ...(staleAt === undefined ? {} : { staleAt }) };
  if (joined) return { ...declared, resource: { ...resource, joined } };
  if (!isEnd) return declared;
  const { endsWhenTold: _, ...ended } = resource;
  return { ...declared, resource: ended };
}

/** The document of an upload that no longer waits for its name. */
function withName(
  { aside: _, ends: __, ...document }: FileDocument,
  takesName: { replaces: string | null },
): FileDocument {
  return { ...document, ...takesName };
}

/** Encodes a digest as base64, as documents store it. */
export function encodeDigest(digest: Digest): string {
  return Buffer.from(digest.value).toString('base64');
}
