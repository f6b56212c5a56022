/** Parses the query and the headers of a chunk (PROTOCOL §2, "Upload parameters"). */
import type { IncomingHttpHeaders } from 'node:http';
import type { ChunkIntent } from '../../engine/receive/chunk-intent.ts';
import { LadingError } from '../../errors.ts';
import { parseHex32 } from '../../protocol/crc32.ts';
import { parseContentRange } from '../../protocol/http/content-range.ts';
import { parseDigestField } from '../../protocol/http/digests.ts';
import { checkContentType } from '../../protocol/http/media-types.ts';
import { checkName } from '../../protocol/names.ts';
import type { UploadQuery } from '../../protocol/schemas/files.ts';

/** @throws LadingError `invalid_request`, `invalid_name`, `out_of_bounds`, `size_conflict` */
export function chunkIntent(owner: string, query: UploadQuery, headers: IncomingHttpHeaders): ChunkIntent {
  const { filename, total_size: total = null, overwrite = false, content_type: contentType } = query;
  const name = checkName(filename);
  const contentRange = field(headers, 'content-range');
  const { range, size } = contentRange === undefined ? { range: null, size: null } : parseContentRange(contentRange);
  if (total !== null && size !== null && total !== size) {
    throw new LadingError('size_conflict', `total_size is ${total}, but the size in Content-Range is ${size}.`, {
      expected: total,
      actual: size,
    });
  }
  const contentDigest = field(headers, 'content-digest');
  const reprDigest = field(headers, 'repr-digest');
  const length = headers['content-length'];
  return {
    owner,
    name,
    declaredSize: total ?? size,
    range,
    crc32: chunkCrc32(field(headers, 'x-chunk-crc32')),
    contentDigest: contentDigest === undefined ? null : parseDigestField(contentDigest, 'Content-Digest'),
    reprDigest: reprDigest === undefined ? null : parseDigestField(reprDigest, 'Repr-Digest'),
    overwrite,
    contentType: contentType === undefined ? null : checkContentType(contentType),
    contentLength: length === undefined ? null : Number(length),
  };
}

/** The value of a field. Node joins several lines of it with commas. */
function field(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function chunkCrc32(value: string | undefined): number | null {
  if (value === undefined) return null;
  const crc32 = parseHex32(value.trim());
  if (crc32 === null) throw new LadingError('invalid_request', 'X-Chunk-CRC32 must be 8 hexadecimal digits.');
  return crc32;
}
