/** A disk store in a folder of its own, and helpers that fill it. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import type { Part, SegmentRange, SegmentResult } from '../../../src/contracts/blobs.ts';
import type { ManifestRecord } from '../../../src/contracts/manifests.ts';
import { LadingError } from '../../../src/errors.ts';
import { crc32 } from '../../../src/protocol/crc32.ts';
import type { FileDocument } from '../../../src/records/file.ts';
import { startThreads, type Threads } from '../../../src/storage/disk/pool.ts';
import { type DiskStore, type DiskStoreOptions, openDiskStore } from '../../../src/storage/disk/store.ts';

let shared: Threads | null = null;

/** One set of worker threads for all tests of a file, because starting them takes longer than most tests. */
export function sharedThreads(): Threads {
  shared ??= startThreads({ workers: 1 });
  return shared;
}

after(async () => {
  await shared?.close();
});

/** An empty folder, deleted after the test. @param under the parent, by default the temporary folder of the system */
export async function temporaryFolder(t: TestContext, under: string = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(under, 'lading-storage-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Opens a store, by default in a new folder, and closes it after the test. */
export async function openTestStore(t: TestContext, options: Partial<DiskStoreOptions> = {}): Promise<DiskStore> {
  const dataDir = options.dataDir ?? (await temporaryFolder(t));
  const store = await openDiskStore({ threads: sharedThreads(), ...options, dataDir });
  let closed: Promise<void> | null = null;
  const once = { ...store, close: (how?: { clean?: boolean }) => (closed ??= store.close(how)) };
  t.after(() => once.close().catch(() => undefined));
  return once;
}

export function newId(): string {
  return randomBytes(16).toString('hex');
}

/** Writes `bytes` at `start` as one segment or as these pieces. */
export async function writeAt(
  part: Part,
  start: number,
  bytes: Uint8Array,
  ranges: SegmentRange[] = [{ extent: { start, end: start + bytes.length - 1 }, action: 'write' }],
): Promise<SegmentResult> {
  const buffer = new ArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return part.write({ buffer, length: bytes.length, start, ranges });
}

/** The manifest record of bytes at `start`. */
export function recordOf(start: number, bytes: Uint8Array, members: Partial<ManifestRecord> = {}): ManifestRecord {
  return {
    start,
    end: start + bytes.length - 1,
    crc32: crc32(bytes),
    synced: true,
    time: 1_700_000_000_000,
    ...members,
  };
}

export function documentOf(members: Partial<FileDocument> = {}): FileDocument {
  return {
    id: newId(),
    owner: 'device-1',
    name: 'firmware.bin',
    state: 'open',
    size: null,
    contentType: null,
    reprDigest: null,
    crc32: null,
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_000,
    completedAt: null,
    replaces: null,
    ...members,
  };
}

/** A validator for `assert.rejects`: a `LadingError` with this code. */
export function withCode(code: LadingError['code']): (error: unknown) => boolean {
  return (error) => error instanceof LadingError && error.code === code;
}
