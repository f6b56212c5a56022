/** Reads the stored bytes of a file again and compares them with the checksums in its manifest. */
import type { Inspector } from '../../contracts/blobs.ts';
import type { ManifestRecord, ManifestStore } from '../../contracts/manifests.ts';
import { LadingError } from '../../errors.ts';
import { type Extent, ExtentSet } from '../../protocol/extents.ts';
import type { FileDocument } from '../../records/file.ts';
import { linkedBlobs } from '../../records/file-blobs.ts';

export interface Verified {
  ok: boolean;
  /** Bytes that were read and compared. */
  checked_bytes: number;
  /** Ranges, `[start, end]` inclusive, that differ from their records or have no record. */
  bad: [number, number][];
}

interface VerifyDeps {
  inspector: Inspector;
  manifests: ManifestStore;
}

/**
 * Compares every record of the manifest with its bytes. If the manifest of a sealed file is incomplete, the checksum of the whole file is
 * compared instead.
 * @param stored the stored extents of an unfinished upload; null for a sealed file
 */
export async function verifyFile(
  { inspector, manifests }: VerifyDeps,
  file: FileDocument,
  stored: ExtentSet | null,
): Promise<Verified> {
  const size = file.size ?? 0;
  // Computed before the manifest is read, because bytes that are stored meanwhile may not be in it.
  const expected = stored ? extentsOf(stored) : wholeExtent(size);
  const journaled = await manifests.read(file.id).catch((error: unknown) => {
    // The manifest may be lost, alone or with the bytes. The comparison below shows which.
    if (stored === null && isAbsent(error)) return [];
    throw error;
  });
  // A crash may have left a record of a chunk that was never acknowledged.
  const records = stored ? journaled : journaled.filter((record) => record.end < size);
  const differing = await badRecords(inspector, file, records);
  const bad = differing.map(({ start, end }): [number, number] => [start, end]);
  const checked = records.reduce((sum, { start, end }) => sum + end - start + 1, 0);
  const unrecorded = missingFrom(records, expected);
  if (unrecorded.length === 0) return { ok: bad.length === 0, checked_bytes: checked, bad };
  if (!stored && bad.length === 0 && (await matchesChecksum(inspector, file, size))) {
    return { ok: true, checked_bytes: size, bad: [] };
  }
  return { ok: false, checked_bytes: checked, bad: [...bad, ...unrecorded].sort(([a], [b]) => a - b) };
}

/** The records whose bytes differ. A concatenated file has one record for each blob. */
async function badRecords(
  inspector: Inspector,
  file: FileDocument,
  records: ManifestRecord[],
): Promise<ManifestRecord[]> {
  const verify = (of: string, some: ManifestRecord[]): Promise<number[]> =>
    inspector.verify(of, some).catch((error: unknown) => {
      if (isAbsent(error)) return [...some.keys()];
      throw error;
    });
  const linked = linkedBlobs(file);
  if (!linked) {
    const bad = new Set(await verify(file.id, records));
    return records.filter((_, index) => bad.has(index));
  }
  const bad: ManifestRecord[] = [];
  for (const [index, record] of records.entries()) {
    const blob = linked[index];
    const own = { ...record, start: 0, end: record.end - record.start };
    if (!blob || (await verify(blob.id, [own])).length > 0) bad.push(record);
  }
  return bad;
}

async function matchesChecksum(inspector: Inspector, file: FileDocument, size: number): Promise<boolean> {
  const { id, crc32 } = file;
  if (linkedBlobs(file) || crc32 === null) return false;
  const all = { start: 0, end: size - 1, crc32, synced: true, time: 0 };
  const bad = await inspector.verify(id, [all]).catch((error: unknown) => {
    if (isAbsent(error)) return [0];
    throw error;
  });
  return bad.length === 0;
}

function isAbsent(error: unknown): boolean {
  return error instanceof LadingError && error.code === 'not_found';
}

function wholeExtent(size: number): Extent[] {
  return size === 0 ? [] : [{ start: 0, end: size - 1 }];
}

function extentsOf(stored: ExtentSet): Extent[] {
  const extents: Extent[] = [];
  let next = 0;
  for (const [start, end] of stored.gaps(stored.end, Number.MAX_SAFE_INTEGER).gaps) {
    if (start > next) extents.push({ start: next, end: start - 1 });
    next = end + 1;
  }
  if (stored.end > next) extents.push({ start: next, end: stored.end - 1 });
  return extents;
}

/** The ranges of these extents that no record covers. */
function missingFrom(records: readonly ManifestRecord[], extents: readonly Extent[]): [number, number][] {
  const recorded = new ExtentSet();
  for (const { start, end, crc32 } of records) {
    if (!recorded.overlaps({ start, end })) recorded.add({ start, end }, crc32);
  }
  const missing: [number, number][] = [];
  for (const extent of extents) {
    for (const slice of recorded.split(extent)) if (!slice.stored) missing.push([slice.extent.start, slice.extent.end]);
  }
  return missing;
}
