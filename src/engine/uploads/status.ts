/** Builds the status object of PROTOCOL §3. */
import { hex32 } from '../../protocol/crc32.ts';
import { contentTypeFor } from '../../protocol/http/media-types.ts';
import { type FileStatus, MAX_MISSING } from '../../protocol/schemas/files.ts';
import { iso } from '../../protocol/times.ts';
import type { FileDocument } from '../../records/file.ts';
import { completeBefore } from './continuation.ts';
import { expiryOf, type Lifetime } from './lifetime.ts';
import type { OpenUpload } from './upload.ts';

/** Maximum number of gaps in a status object and in an error. */
export const MAX_GAPS = MAX_MISSING;
/** Maximum number of gaps in the reply to a chunk. Lower, because every chunk gets a reply (PROTOCOL §3). */
export const REPLY_GAPS = 16;

/** The strong entity tag of a readable file: different bytes have a different id, size or CRC-32. */
export function entityTag(id: string, size: number, crc32: number): string {
  return `"${id}-${size}-${hex32(crc32)}"`;
}

export function pendingStatus(name: string): FileStatus {
  return {
    filename: name,
    status: 'pending',
    bytes_received: 0,
    total_bytes: null,
    next_expected_byte: 0,
    id: null,
    readable: false,
    missing: [],
    missing_more: false,
    crc32: null,
    etag: null,
    content_type: null,
    created_at: null,
    updated_at: null,
    completed_at: null,
    expires_at: null,
  };
}

/** @param bytesLeft number of bytes from the start that a damaged file still has; null: all */
export function sealedStatus(document: FileDocument, bytesLeft: number | null = null): FileStatus {
  if (bytesLeft !== null) return damagedStatus(sealedStatus(document), bytesLeft);
  const size = document.size ?? 0;
  const crc32 = document.crc32 ?? 0;
  return {
    filename: document.name,
    status: 'complete',
    bytes_received: size,
    total_bytes: size,
    next_expected_byte: size,
    id: document.id,
    readable: true,
    missing: [],
    missing_more: false,
    crc32: hex32(crc32),
    etag: entityTag(document.id, size, crc32),
    content_type: document.contentType ?? contentTypeFor(document.name),
    created_at: iso(document.createdAt),
    updated_at: iso(document.completedAt ?? document.updatedAt),
    completed_at: document.completedAt === null ? null : iso(document.completedAt),
    expires_at: null,
  };
}

/** The status of a damaged file. It is reported as partial, so that no client relies on the file. */
function damagedStatus(undamaged: FileStatus, bytesLeft: number): FileStatus {
  const size = undamaged.total_bytes ?? 0;
  return {
    ...undamaged,
    status: 'partial',
    damaged: true,
    bytes_received: bytesLeft,
    next_expected_byte: bytesLeft,
    readable: false,
    missing: [[bytesLeft, size - 1]],
    crc32: null,
    etag: null,
    completed_at: null,
  };
}

/** @param maxGaps number of gaps to list at most */
export function uploadStatus(upload: OpenUpload, lifetime: Lifetime, maxGaps = MAX_GAPS): FileStatus {
  if (upload.isSealed) return sealedStatus(upload.document);
  const { document, stored } = upload;
  const total = upload.size ?? (stored.bytes > 0 ? stored.end : null);
  const { gaps, more } = stored.gaps(total ?? 0, maxGaps);
  const complete = upload.isContiguous;
  const expiresAt = expiryOf(upload, lifetime);
  const crc32 = complete ? stored.crc32IfComplete(stored.end) : null;
  return {
    filename: document.name,
    status: complete ? 'complete' : 'partial',
    bytes_received: stored.bytes,
    total_bytes: total,
    next_expected_byte: stored.firstGap(),
    id: document.id,
    readable: complete || document.replaces !== null || completeBefore(upload) !== null,
    missing: gaps,
    missing_more: more,
    crc32: crc32 === null ? null : hex32(crc32),
    etag: crc32 === null ? null : entityTag(document.id, stored.end, crc32),
    content_type: document.contentType ?? contentTypeFor(document.name),
    created_at: iso(document.createdAt),
    updated_at: iso(upload.lastCommitAt),
    completed_at: complete ? iso(upload.lastCommitAt) : null,
    expires_at: complete || expiresAt === null ? null : iso(expiresAt),
    ...(upload.isParked ? { stale: true } : {}),
    ...(upload.size === null && !complete ? { undeclared: true } : {}),
  };
}
