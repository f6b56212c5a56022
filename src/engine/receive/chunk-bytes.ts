/** Receives the bytes of one chunk, and checks every checksum and digest that the client sent. */
import type { Inspector, Part, SegmentJob, SegmentRange, SegmentResult } from '../../contracts/blobs.ts';
import { type ChunkHeader, MAX_OFFSET } from '../../protocol/chunk.ts';
import { hex32 } from '../../protocol/crc32.ts';
import type { Extent, ExtentSet } from '../../protocol/extents.ts';
import { type Digest, mismatchMembers } from '../../protocol/http/digests.ts';
import type { FileStatus } from '../../protocol/schemas/files.ts';
import { BodyWriter, type Received } from '../body/body-writer.ts';
import type { BufferPool } from '../body/buffer-pool.ts';
import { CRC_IN_FIELD, checksumError } from '../body/chunk-checksums.ts';
import type { RequestBody } from '../body/request-body.ts';
import { checksumMismatch } from '../files/refusals.ts';
import type { OpenUpload } from '../uploads/upload.ts';
import type { ChunkIntent } from './chunk-intent.ts';

export interface ChunkBytesDeps {
  buffers: BufferPool;
  inspector: Inspector;
}

/** A chunk whose header was read. */
export interface IncomingChunk {
  intent: ChunkIntent;
  body: RequestBody;
  header: ChunkHeader;
  headerBytes: Uint8Array;
  /** Awaited when all bytes are verified, before they are committed. */
  beforeCommit: (() => Promise<void>) | undefined;
}

export type Write = (job: SegmentJob) => Promise<SegmentResult>;

/**
 * Receives the data of a chunk into the blob `id`. Updates `intent.reprDigest` from the trailer.
 * @param plan which ranges are written and which are compared
 * @throws LadingError `checksum_mismatch`, `length_mismatch`
 */
export async function receiveBytes(
  { buffers, inspector }: ChunkBytesDeps,
  { intent, body, header, headerBytes }: IncomingChunk,
  id: string,
  write: Write,
  plan: SegmentRange[],
): Promise<Received> {
  const toPart = intent.contentDigest !== null || intent.trailingDigests?.contentDigest !== undefined;
  const received = await body.receive(new BodyWriter(body.buffer, write, buffers, header, plan, { toPart }));
  const sent = { checksum: header.checksum, crc32: intent.crc32 };
  const wrong = checksumError(sent, received.sum, received.crc32, CRC_IN_FIELD);
  if (wrong) throw wrong;
  intent.reprDigest = intent.trailingDigests?.reprDigest?.() ?? intent.reprDigest;
  const contentDigest = intent.trailingDigests?.contentDigest?.() ?? intent.contentDigest;
  // The digest is computed from the disk. After a conflict, the disk does not have the bytes that were sent.
  if (contentDigest && !received.conflict) {
    await body.hold(checkContentDigest(inspector, id, contentDigest, header, headerBytes));
  }
  return received;
}

/** Reads the bytes back from the disk, because digests of segments cannot be combined as CRCs can. @throws LadingError `checksum_mismatch` */
export async function checkContentDigest(
  inspector: Inspector,
  id: string,
  expected: Digest,
  extent: Extent,
  prefix: Uint8Array,
): Promise<void> {
  const actual = await inspector.digest(id, expected.algorithm, extent, prefix);
  if (Buffer.compare(actual, expected.value) !== 0) {
    throw checksumMismatch(
      `The ${expected.algorithm} differs from Content-Digest.`,
      Buffer.from(expected.value).toString('base64'),
      Buffer.from(actual).toString('base64'),
      mismatchMembers('Content-Digest', expected),
    );
  }
}

/** Plans to write new bytes and to compare stored ones. Committed bytes are never written again. */
export function planRanges(stored: ExtentSet, extent: Extent): SegmentRange[] {
  return stored
    .split({ start: extent.start, end: extent.end })
    .map((slice) => ({ extent: slice.extent, action: slice.stored ? 'compare' : 'write' }));
}

/** The `chunk` member of the reply. */
export function receiptOf({ start, end }: Extent, received: Received): NonNullable<FileStatus['chunk']> {
  return { start, end, crc32: hex32(received.crc32), duplicate: received.fresh.length === 0 };
}

/** Called when the disk is full. Truncates bytes that a refused chunk wrote past the committed ones, so that smaller chunks fit. */
export async function freeSpace(upload: OpenUpload, part: Part): Promise<void> {
  const { end } = upload.stored;
  const rest = upload.tryReserve({ start: end, end: MAX_OFFSET });
  if (!rest) return;
  try {
    if (!upload.isClosed && !upload.endReason) await part.truncate(end);
  } catch {
    // The chunk is refused in any case.
  } finally {
    rest.release();
  }
}
