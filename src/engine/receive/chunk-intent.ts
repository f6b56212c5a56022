/** The parsed request line and headers of a chunk, and the checks that need nothing else. */
import { LadingError } from '../../errors.ts';
import { CHUNK_HEADER_BYTES } from '../../protocol/chunk.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { Digest } from '../../protocol/http/digests.ts';
import type { TrailingDigests } from '../body/trailing-digests.ts';
import { chunkTooLarge, fileTooLarge, outOfBounds } from '../files/refusals.ts';
import type { Precondition } from '../uploads/preconditions.ts';

/** The parsed request line and headers of a chunk. Null: not sent. Sizes in bytes. */
export interface ChunkIntent {
  owner: string;
  name: string;
  /** `total_size`, or the N of `Content-Range: bytes START-END/N`. */
  declaredSize: number | null;
  /** START-END of `Content-Range`. */
  range: Extent | null;
  crc32: number | null;
  /** Digest of header and data (RFC 9530). */
  contentDigest: Digest | null;
  /** Digest of the whole file. */
  reprDigest: Digest | null;
  overwrite: boolean;
  contentType: string | null;
  /** Bytes of header and data, if the sender declared them. */
  contentLength: number | null;
  /** Digests that follow the bytes. */
  trailingDigests?: TrailingDigests | undefined;
  /** False once the sender's authorization was revoked. The chunk is then refused, and its remaining bytes are not awaited. */
  isAuthorized?: () => boolean;
  /** Condition on the current file; with `overwrite` it is checked when the replacement begins. */
  precondition?: Precondition | undefined;
  /** New content at byte 0 replaces a complete file of this name even without `overwrite`. */
  replaceFromStart?: boolean;
  /** A header for the range 0-0 without data creates an empty file. */
  emptyChunk?: boolean;
}

/** In bytes. */
export interface ChunkLimits {
  maxChunkBytes: number;
  maxFileBytes: number;
}

/** Checks the headers alone. @throws LadingError `invalid_request`, `file_too_large`, `chunk_too_large` */
export function checkIntent(intent: ChunkIntent, limits: ChunkLimits): void {
  const { maxChunkBytes, maxFileBytes } = limits;
  const { declaredSize, range, contentLength } = intent;
  if (intent.overwrite && declaredSize === null) {
    throw new LadingError('invalid_request', 'overwrite=true requires total_size, the size of the new file.');
  }
  if (declaredSize !== null && declaredSize > maxFileBytes) throw fileTooLarge(declaredSize, maxFileBytes);
  if (contentLength !== null && contentLength - CHUNK_HEADER_BYTES > maxChunkBytes) {
    throw chunkTooLarge(contentLength - CHUNK_HEADER_BYTES, maxChunkBytes);
  }
  if (range) checkExtent(intent, range, limits);
}

/** @throws LadingError `length_mismatch`, `chunk_too_large`, `out_of_bounds`, `file_too_large` */
export function checkExtent(
  { declaredSize, contentLength }: ChunkIntent,
  extent: Extent,
  { maxChunkBytes, maxFileBytes }: ChunkLimits,
): void {
  const length = lengthOf(extent);
  if (contentLength !== null && contentLength !== CHUNK_HEADER_BYTES + length) {
    throw new LadingError(
      'length_mismatch',
      `The chunk announces ${length} data bytes, ${CHUNK_HEADER_BYTES + length} with its header, but the body has ${contentLength}.`,
      { expected: CHUNK_HEADER_BYTES + length, actual: contentLength },
    );
  }
  if (length > maxChunkBytes) throw chunkTooLarge(length, maxChunkBytes);
  if (declaredSize !== null && extent.end >= declaredSize) throw outOfBounds(extent.end, declaredSize);
  if (extent.end >= maxFileBytes) throw fileTooLarge(extent.end + 1, maxFileBytes);
}
