/** A whole server on a disk that is full: it says so, loses nothing, and goes on when there is room again. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { content } from '../support/device.ts';
import { Child, Device, Refusal } from './child.ts';

const MIB = 1024 ** 2;
const DISK = 24 * MIB;
const FILE = 12 * MIB;
const CHUNK = MIB;

interface SmallDisk {
  folder: string;
  /** A server on it, killed before the disk goes. */
  start(settings: Record<string, string>): Child;
}

/** A file system of `DISK` bytes in memory; null where that is not allowed. */
async function smallDisk(t: TestContext): Promise<SmallDisk | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null;
  const folder = await mkdtemp(join(tmpdir(), 'lading-full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    await rm(folder, { recursive: true });
    return null;
  }
  const children: Child[] = [];
  t.after(async () => {
    await Promise.all(children.map((child) => child.kill()));
    execFileSync('umount', [folder]);
    await rm(folder, { recursive: true });
  });
  const start = (settings: Record<string, string>): Child => {
    const child = new Child(join(folder, 'data'), settings);
    children.push(child);
    return child;
  };
  return { folder, start };
}

async function refusal(request: Promise<unknown>): Promise<Refusal> {
  const error = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof Refusal) return error;
  throw error ?? new Error('expected a refusal');
}

/** The files of uploads and complete ones that lie on the disk. */
async function folders(dataDir: string): Promise<number> {
  const files = join(dataDir, 'v1', 'files');
  const shards = await Promise.all((await readdir(files)).map((shard) => readdir(join(files, shard))));
  return shards.flat().length;
}

/** What somebody else has on the disk: leaves `bytes` of room. */
async function fill(disk: string, bytes: number): Promise<{ path: string; size: number }> {
  const { bavail, bsize } = await statfs(disk);
  const path = join(disk, 'ballast');
  const size = bavail * bsize - bytes;
  await writeFile(path, new Uint8Array(size));
  return { path, size };
}

for (const durability of ['chunk', 'seal'] as const) {
  test(`durability ${durability}: a full disk is 507, nothing is lost, and the upload goes on after room was made`, async (t) => {
    const small = await smallDisk(t);
    if (small === null) return t.skip('needs root, to mount a small file system');
    const disk = small.folder;
    const dataDir = join(disk, 'data');
    const child = small.start({ LADING_DURABILITY: durability });
    const device = new Device(await child.origin);
    t.after(() => device.close());
    await device.signIn();
    const whole = content(0, 1000);
    await device.send('whole', 0, whole, { declaredSize: whole.length, overwrite: false });

    const ballast = await fill(disk, FILE / 2);
    const sending = { declaredSize: FILE, overwrite: false };
    const chunk = (start: number): Uint8Array => content(start, CHUNK, 1);
    let acknowledged = 0;
    let full: Refusal | null = null;
    while (full === null) {
      assert.ok(acknowledged < FILE / 2, 'more went in than there was room');
      const sent = device.send('big', acknowledged, chunk(acknowledged), sending);
      await sent.then(
        () => {
          acknowledged += CHUNK;
        },
        (error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
          full = error;
        },
      );
    }
    assert.ok(acknowledged > 0);
    for (const error of [full, await refusal(device.send('big', acknowledged, chunk(acknowledged), sending))]) {
      assert.deepEqual([error.status, error.code], [507, 'insufficient_storage']);
      assert.doesNotMatch(error.message, /\/|ENOSPC/);
    }

    // Not a byte is left: not even a document can be written, and nothing half-made stays.
    await fillUp(disk);
    const before = await folders(dataDir);
    const fresh = await refusal(device.send('fresh', 0, content(0, 100), { declaredSize: 100, overwrite: false }));
    assert.equal(fresh.status, 507);
    assert.equal((await device.status('fresh')).status, 'pending');
    assert.equal(await folders(dataDir), before);
    await isThere(device, acknowledged, whole);

    // Killed, it starts again with as little room as its lock takes.
    await child.kill();
    await truncate(ballast.path, ballast.size - 64 * 1024);
    const second = small.start({ LADING_DURABILITY: durability });
    const resumed = new Device(await second.origin);
    t.after(() => resumed.close());
    await resumed.signIn();
    await isThere(resumed, acknowledged, whole);
    await rm(ballast.path);
    for (let start = acknowledged; start < FILE; start += CHUNK)
      await resumed.send('big', start, chunk(start), sending);
    assert.equal((await resumed.status('big')).status, 'complete');
    assert.ok((await resumed.read('big', 0, FILE - 1))?.equals(content(0, FILE, 1)));
    await resumed.send('fresh', 0, content(0, 100), { declaredSize: 100, overwrite: false });
  });
}

/** Takes the last room there is. */
async function fillUp(disk: string): Promise<void> {
  await writeFile(join(disk, 'last'), new Uint8Array(DISK)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOSPC') throw error;
  });
}

/** What was acknowledged before the disk was full can be read, and is right. */
async function isThere(device: Device, acknowledged: number, whole: Uint8Array): Promise<void> {
  assert.ok((await device.read('whole', 0, whole.length - 1))?.equals(whole));
  assert.equal((await device.status('big')).bytes_received, acknowledged);
  assert.ok((await device.read('big', 0, acknowledged - 1))?.equals(content(0, acknowledged, 1)));
}
