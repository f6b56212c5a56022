/**
 * Identifies the version of a file to which bytes belong. A complete file is identified by its ETag. An unfinished file has no ETag, or one
 * that changes with every byte; it is identified by its id, under which no byte ever changes.
 */
import { LadingError } from '../../errors.ts';
import { parseHex32 } from '../../protocol/crc32.ts';
import { type Extent, lengthOf } from '../../protocol/extents.ts';
import type { FileCalls } from '../calls/files.ts';
import type { CallOptions, RangeRequest } from '../calls/options.ts';
import { NetworkError, VerificationError } from '../transport/failures.ts';

/** A range of one version of a file. */
export interface Part {
  id: string;
  extent: Extent;
}

/** One version of a file, or a part of it. */
export interface Version {
  /** Null for a part of an unfinished file. */
  etag: string | null;
  /** Size in bytes of the file or part. */
  size: number;
  /** CRC-32 of these bytes; null when the server does not state it. */
  crc32: number | null;
  /** Undefined for the whole file. */
  part?: Part;
}

/** The version that a download would receive now. Throws `not_found`, `not_complete`. */
export async function currentVersion(
  client: FileCalls,
  name: string,
  options: CallOptions,
): Promise<Version & { etag: string }> {
  const info = await client.head(name, options).catch(async (error: unknown) => {
    if (!(error instanceof LadingError) || error.status !== 404) throw error;
    const status = await client.status(name, options);
    if (status.status === 'pending') throw new LadingError('not_found', `There is no file named ${name}.`);
    const members = { missing: status.missing, missing_more: status.missing_more };
    throw new LadingError(
      'not_complete',
      `${name} is not complete yet. Ranges that have arrived can be read.`,
      members,
    );
  });
  if (info.size === null || info.etag === null)
    throw new NetworkError('The server does not identify the version of the file.');
  const { size, etag } = info;
  const status = await client.status(name, options);
  // The status may describe a replacement. The ETag of the current version also ends with its CRC-32.
  const crc32 = status.etag === etag ? status.crc32 : (/-([0-9a-f]{8})"$/.exec(etag)?.[1] ?? null);
  return { etag, size, crc32: crc32 === null ? null : parseHex32(crc32) };
}

/**
 * Resolves a range to bytes of the current version. Requests a single byte, because the reply also states the size. Throws `not_found`,
 * `not_complete` (with `missing` if known), `range_not_satisfiable`.
 */
export async function resolveRange(
  client: FileCalls,
  name: string,
  range: RangeRequest,
  { owner, signal }: CallOptions,
): Promise<Version & { part: Part }> {
  const probe = 'suffix' in range ? { suffix: 1 } : { start: range.start, end: range.start };
  const { etag, size, extent: sent, discard } = await client.download(name, { range: probe, owner, signal });
  discard();
  if (sent === null) throw wrongRange();
  const extent = extentOf(range, size);
  if (etag !== null) return { etag, size: lengthOf(extent), crc32: null, part: { id: idOf(etag), extent } };
  const { id, missing } = await client.status(name, { owner, signal });
  if (id === null) throw new LadingError('not_found', `There is no file named ${name}.`);
  const gaps = missing.filter(([start, end]) => start <= extent.end && end >= extent.start);
  if (gaps.length > 0) {
    throw new LadingError('not_complete', 'Some bytes of this range have not arrived yet.', { missing: gaps });
  }
  return { etag, size: lengthOf(extent), crc32: null, part: { id, extent } };
}

function extentOf(range: RangeRequest, size: number | null): Extent {
  if ('suffix' in range && size !== null) return { start: Math.max(0, size - range.suffix), end: size - 1 };
  const requestedEnd = 'suffix' in range ? undefined : range.end;
  if ('suffix' in range || (requestedEnd === undefined && size === null)) {
    throw new LadingError('not_complete', 'The size of the file is not known yet. Specify the end of the range.');
  }
  const last = size === null ? Number.MAX_SAFE_INTEGER : size - 1;
  return { start: range.start, end: Math.min(requestedEnd ?? last, last) };
}

/** The file id in an ETag of the form `"ID-SIZE-CRC32"`, even if a proxy weakened it; any other ETag unchanged. */
export function idOf(etag: string): string {
  return /^(?:W\/)?"(.+)-\d+-[0-9a-f]{8}"$/.exec(etag)?.[1] ?? etag;
}

/**
 * True when a reply belongs to the version `id`, which existed before the request. A reply without ETag belongs to an unfinished file: the
 * one that still exists afterwards, because ids are never reused.
 */
export async function isFromVersion(
  client: FileCalls,
  name: string,
  id: string,
  etag: string | null,
  { owner, signal }: CallOptions,
): Promise<boolean> {
  return (etag === null ? (await client.status(name, { owner, signal })).id : idOf(etag)) === id;
}

/** Requests the bytes `extent` of a version. Throws `precondition_failed` before the first byte when it was replaced. */
export async function* readPart(
  client: FileCalls,
  name: string,
  { id, extent: { start, end } }: Part,
  { owner, signal }: CallOptions,
): AsyncGenerator<Uint8Array> {
  const download = await client.download(name, { range: { start, end }, owner, signal });
  try {
    if (!(await isFromVersion(client, name, id, download.etag, { owner, signal }))) throw fileReplaced();
    const { extent } = download;
    if (extent === null || extent.start !== start || extent.end > end) throw wrongRange();
    let left = lengthOf({ start, end });
    for await (const bytes of download.body) {
      left -= bytes.length;
      if (left < 0) throw new VerificationError('The server sent more bytes than were requested.');
      yield bytes;
    }
    if (left > 0) throw new NetworkError('The reply ended early.');
  } finally {
    download.discard();
  }
}

/** True for the error of a file that was replaced. */
export function isReplaced(error: unknown): boolean {
  return error instanceof LadingError && error.code === 'precondition_failed';
}

export function fileReplaced(): LadingError {
  return new LadingError('precondition_failed', 'The file was replaced on the server while it was being read.');
}

export function checksumMismatch(): VerificationError {
  return new VerificationError('The downloaded bytes do not match the checksum of the file. Download it again.');
}

export function wrongRange(): VerificationError {
  return new VerificationError('The server sent a different range than requested.');
}
