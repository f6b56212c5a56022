/** Header fields of downloads that describe the file, whichever part of it is sent. */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Reader } from '../../contracts/blobs.ts';
import type { Representation } from '../../engine/read/open-file.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import { formatHttpDate } from '../../protocol/http/conditionals.ts';
import { type DigestAlgorithm, formatDigestField, preferredDigest } from '../../protocol/http/digests.ts';
import { contentDisposition } from '../../protocol/http/disposition.ts';
import { contentTypeFor } from '../../protocol/http/media-types.ts';
import { Truncated } from './sources.ts';

/** Limit of the bytes that are hashed on request, which takes a few milliseconds. */
const DIGESTED_BYTES = 1024 ** 2;
const READ_BYTES = 64 * 1024;

/** The fields of a 200, a 206 and a 304. @param now date in milliseconds */
export function representationFields(representation: Representation, now: number): Record<string, string> {
  const { name, contentType, readable, etag, lastModified } = representation;
  const fields: Record<string, string> = {
    'accept-ranges': 'bytes',
    'content-type': contentType ?? contentTypeFor(name),
    'content-disposition': contentDisposition(name),
    // An uploaded file must never act as a page of this server.
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    // A file may be replaced at any time, so caches must revalidate it before each use.
    'cache-control': readable ? 'private, no-cache' : 'no-store',
  };
  if (etag !== null) fields.etag = etag;
  // The date of a replacement may be in the next second, but must not be later than the answer's (RFC 9110 §8.8.2.1).
  if (lastModified !== null && lastModified <= now) fields['last-modified'] = formatHttpDate(lastModified);
  return fields;
}

/**
 * Repr-Digest if it is known or requested for a small file, and Content-Digest if it is requested for a small content (RFC 9530).
 * @param content the extent that the whole content consists of; null if the content is not exactly one extent
 */
export async function digestFields(
  representation: Representation,
  content: Extent | null,
  headers: IncomingHttpHeaders,
): Promise<Record<string, string>> {
  const fields: Record<string, string> = {};
  const { reprDigest, readable, size, reader } = representation;
  const wantRepr = wanted(headers['want-repr-digest']);
  if (reprDigest && wantRepr !== null) {
    fields['repr-digest'] = formatDigestField(reprDigest);
  } else if (typeof wantRepr === 'string' && readable && size !== null && size <= DIGESTED_BYTES) {
    fields['repr-digest'] = await digest(reader, { start: 0, end: size - 1 }, wantRepr);
  }
  const wantContent = wanted(headers['want-content-digest']);
  if (typeof wantContent === 'string' && content && lengthOf(content) <= DIGESTED_BYTES) {
    fields['content-digest'] = await digest(reader, content, wantContent);
  }
  return fields;
}

/** The algorithm that the client prefers; null if it accepts no known one, undefined if the field is absent. */
function wanted(field: string | string[] | undefined): DigestAlgorithm | null | undefined {
  return field === undefined ? undefined : preferredDigest(String(field));
}

async function digest(reader: Reader, { start, end }: Extent, algorithm: DigestAlgorithm): Promise<string> {
  const hash = createHash(algorithm.replace('-', ''));
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - start + 1));
  for (let at = start; at <= end; ) {
    const read = await reader.read(buffer.subarray(0, Math.min(buffer.length, end - at + 1)), at);
    if (read === 0) throw new Truncated('The stored file is shorter than it was.');
    hash.update(buffer.subarray(0, read));
    at += read;
  }
  return formatDigestField({ algorithm, value: hash.digest() });
}
