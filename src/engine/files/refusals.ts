/** The errors with which the engine refuses requests (codes: PROTOCOL §5). Their details say what to do. */

import { LadingError, type ProblemMembers } from '../../errors.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { FileDocument } from '../../records/file.ts';

/** Bytes past the declared size. @param end offset of the last byte */
export function outOfBounds(end: number, size: number): LadingError {
  return new LadingError(
    'out_of_bounds',
    `Byte ${end} is past the end of the file, whose declared size is ${size} bytes.`,
    {
      expected: size - 1,
      actual: end,
    },
  );
}

/** Refuses a declared size that differs from the complete file. @throws LadingError `size_conflict` */
export function checkSealedSize(sealed: FileDocument, declaredSize: number | null): void {
  const size = sealed.size ?? 0;
  if (declaredSize === null || declaredSize === size) return;
  throw new LadingError(
    'size_conflict',
    `A complete file of ${size} bytes has this name. Send overwrite=true to replace it with a file of ${declaredSize} bytes.`,
    { expected: size, actual: declaredSize },
  );
}

/** Refuses a declared digest that differs from the known one of the complete file. @throws LadingError `file_complete` */
export function checkSealedDigest({ reprDigest: known }: FileDocument, declared: Digest | null): void {
  if (!known || !declared || known.algorithm !== declared.algorithm) return;
  const value = Buffer.from(declared.value).toString('base64');
  if (value === known.value) return;
  throw new LadingError(
    'file_complete',
    'A complete file of this name has a different digest. Send overwrite=true with a total_size to replace it.',
    { expected: known.value, actual: value },
  );
}

/** The bytes differ from those of a complete file. */
export function fileComplete(size: number): LadingError {
  return new LadingError(
    'file_complete',
    `A complete file of ${size} bytes has this name, and its bytes differ. Send overwrite=true with a total_size to replace it.`,
    { expected: size },
  );
}

/** The bytes differ from those stored in an unfinished file. */
export function chunkConflict(): LadingError {
  return new LadingError(
    'chunk_conflict',
    'Some of these bytes are stored already and differ. The stored bytes are kept; delete the file to start over.',
  );
}

/** Another client is sending a file of this name. */
export function uploadInProgress(): LadingError {
  return new LadingError(
    'already_exists',
    'A file of this name is being uploaded. Wait until it is complete, or delete it.',
  );
}

/** The request sends to a file by its name, but the upload of that name accepts bytes only at its own URL. */
export function uploadHasAddress(): LadingError {
  return new LadingError(
    'already_exists',
    'A file of this name is being uploaded by tus or as a resumable upload. Send to the URL of that upload, wait until it is complete, or cancel it.',
  );
}

/** @param isAuthorized of an intent @throws LadingError `unauthorized` */
export function assertAuthorized(isAuthorized: (() => boolean) | undefined): void {
  if (isAuthorized?.() === false) throw revoked();
}

/** The token of the sender was revoked during the request. */
export function revoked(): LadingError {
  return new LadingError('unauthorized', 'The token was revoked during this request. The request has no effect.');
}

/** @param what a sentence that says which checksum differs */
export function checksumMismatch(
  what: string,
  expected: string | number,
  actual: string | number,
  members: ProblemMembers = {},
): LadingError {
  return new LadingError('checksum_mismatch', `Checksum validation failed. ${what} Send the chunk again.`, {
    expected,
    actual,
    ...members,
  });
}

/** Sizes in bytes, the header not counted. */
export function chunkTooLarge(length: number, max: number): LadingError {
  return new LadingError('chunk_too_large', `A chunk may have at most ${max} data bytes. Send smaller chunks.`, {
    expected: max,
    actual: length,
  });
}

/** Sizes in bytes. */
export function fileTooLarge(size: number, max: number): LadingError {
  return new LadingError('file_too_large', `A file may have at most ${max} bytes.`, { expected: max, actual: size });
}
