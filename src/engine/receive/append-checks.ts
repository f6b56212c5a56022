/** Checks of one append request: its offset and sizes before the body is read, and its digest afterwards. */
import type { Inspector } from '../../contracts/blobs.ts';
import { LadingError } from '../../errors.ts';
import type { Extent } from '../../protocol/extents.ts';
import { checksumMismatch, fileTooLarge, outOfBounds } from '../files/refusals.ts';
import type { AppendIntent, Proof } from './upload-resource.ts';

/**
 * @param offset next byte of the upload
 * @param declaredSize declared size of the upload; null: undeclared
 * @throws LadingError `offset_mismatch`, `out_of_bounds`, `size_conflict`, `file_too_large`
 */
export function checkAppend(
  intent: AppendIntent,
  offset: number,
  declaredSize: number | null,
  { maxFileBytes }: { maxFileBytes: number },
): void {
  if (intent.offset !== offset) {
    throw new LadingError('offset_mismatch', `The offset of this upload is ${offset}, not ${intent.offset}.`, {
      expected: offset,
      actual: intent.offset,
    });
  }
  const end = offset + (intent.contentLength ?? 0);
  const size = declaredSize ?? intent.size;
  // A resumable upload is discarded after `out_of_bounds` but not after `size_conflict`, so excess bytes are checked before a wrong size.
  if (intent.ends !== undefined && size !== null && end > size && end > offset) throw outOfBounds(end - 1, size);
  if (intent.size !== null && declaredSize !== null && intent.size !== declaredSize) {
    throw new LadingError('size_conflict', `The size was declared as ${declaredSize}, not ${intent.size}.`, {
      expected: declaredSize,
      actual: intent.size,
    });
  }
  if (size !== null && size < offset) {
    throw new LadingError('size_conflict', `${offset} bytes are stored already; the size cannot be ${size}.`, {
      expected: offset,
      actual: size,
    });
  }
  if (size !== null && size > maxFileBytes) throw fileTooLarge(size, maxFileBytes);
  if (size !== null && end > size) throw outOfBounds(end - 1, size);
  if (end > maxFileBytes) throw fileTooLarge(end, maxFileBytes);
}

/**
 * Compares the bytes of a request with the digest that the client sent.
 * @param crc CRC-32 of these bytes
 * @throws LadingError `checksum_mismatch`
 */
export async function checkProof(
  inspector: Inspector,
  id: string,
  extent: Extent,
  crc: number,
  proof: Proof | null,
): Promise<void> {
  if (!proof) return;
  const { algorithm, value, header } = proof;
  const actual = algorithm === 'crc32' ? crcBytes(crc) : await inspector.digest(id, algorithm, extent);
  if (Buffer.compare(actual, value) === 0) return;
  throw checksumMismatch(
    `The ${algorithm} does not match.`,
    Buffer.from(value).toString('base64'),
    Buffer.from(actual).toString('base64'),
    header === undefined ? {} : { header, algorithm, provided_digest: Buffer.from(value).toString('base64') },
  );
}

/** A CRC-32 as 4 big-endian bytes. */
export function crcBytes(crc: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc >>> 0);
  return bytes;
}

/** The request ends the upload before its declared size. */
export function endsEarly(position: number, size: number): LadingError {
  return new LadingError(
    'size_conflict',
    `The size was declared as ${size}, but the last request ended at ${position}.`,
    { expected: size, actual: position },
  );
}
