/** A server on a full disk: it replies 507, loses nothing, and continues once there is space. */
import assert from 'node:assert/strict';
import { readdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fill, fillUp, NO_SMALL_DISK, type SmallDisk, smallDisk } from '../support/disk/small-disk.ts';
import { content } from '../support/product/device.ts';
import { Child, Device, Refusal } from './child.ts';

const MIB = 1024 ** 2;
const DISK = 24 * MIB;
const FILE = 12 * MIB;
const CHUNK = MIB;

/** Starts a server on the small disk; kills it before the disk is unmounted. */
function start(small: SmallDisk, settings: Record<string, string>): Child {
  const child = new Child(join(small.folder, 'data'), settings);
  small.beforeUnmount(() => child.kill());
  return child;
}

async function refusal(request: Promise<unknown>): Promise<Refusal> {
  const error = await request.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof Refusal) return error;
  throw error ?? new Error('expected a refusal');
}

/** The number of open uploads and complete files on the disk. */
async function folders(dataDir: string): Promise<number> {
  const files = join(dataDir, 'v1', 'files');
  const shards = await Promise.all((await readdir(files)).map((shard) => readdir(join(files, shard))));
  return shards.flat().length;
}

for (const durability of ['chunk', 'seal'] as const) {
  test(`durability ${durability}: a full disk is refused with 507, loses nothing, and the upload continues once there is space`, async (t) => {
    const small = await smallDisk(t, DISK);
    if (small === null) return t.skip(NO_SMALL_DISK);
    const disk = small.folder;
    const dataDir = join(disk, 'data');
    const child = start(small, { LADING_DURABILITY: durability });
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
      assert.ok(acknowledged < FILE / 2, 'more bytes were accepted than there was space');
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

    // Without free space not even a document can be written, and no partial upload remains.
    await fillUp(disk);
    const before = await folders(dataDir);
    const refused = await refusal(device.send('fresh', 0, content(0, 100), { declaredSize: 100, overwrite: false }));
    assert.equal(refused.status, 507);
    assert.equal((await device.status('fresh')).status, 'pending');
    assert.equal(await folders(dataDir), before);
    await assertStored(device, acknowledged, whole);

    // A killed server starts again with only enough space for its lock.
    await child.kill();
    await truncate(ballast.path, ballast.size - 64 * 1024);
    const second = start(small, { LADING_DURABILITY: durability });
    const resumed = new Device(await second.origin);
    t.after(() => resumed.close());
    await resumed.signIn();
    await assertStored(resumed, acknowledged, whole);
    await rm(ballast.path);
    for (let start = acknowledged; start < FILE; start += CHUNK)
      await resumed.send('big', start, chunk(start), sending);
    assert.equal((await resumed.status('big')).status, 'complete');
    assert.ok((await resumed.read('big', 0, FILE - 1))?.equals(content(0, FILE, 1)));
    await resumed.send('fresh', 0, content(0, 100), { declaredSize: 100, overwrite: false });
  });
}

/** Checks that all bytes acknowledged before the disk was full can be read and are correct. */
async function assertStored(device: Device, acknowledged: number, whole: Uint8Array): Promise<void> {
  assert.ok((await device.read('whole', 0, whole.length - 1))?.equals(whole));
  assert.equal((await device.status('big')).bytes_received, acknowledged);
  assert.ok((await device.read('big', 0, acknowledged - 1))?.equals(content(0, acknowledged, 1)));
}
