import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DirectorySync } from '../../../../src/storage/disk/directories.ts';
import { realDisk } from '../../../../src/storage/disk/io/disk.ts';
import { readWhole, writeFileDurably } from '../../../../src/storage/disk/io/durable.ts';
import { FaultyDisk, failAt } from '../../../support/disk/faulty-disk.ts';
import { temporaryFolder } from '../../../support/disk/storage.ts';

test('a durable write performs its steps in order', async (t) => {
  const folder = await temporaryFolder(t);
  const steps: string[] = [];
  const disk = new FaultyDisk(realDisk);
  disk.arm(({ op }) => {
    steps.push(op);
    return null;
  });
  await writeFileDurably(disk, join(folder, 'a'), Buffer.from('text'), { tmp: folder });
  assert.deepEqual(steps, ['open', 'write', 'datasync', 'close', 'rename', 'syncDir']);
  assert.equal(await readFile(join(folder, 'a'), 'utf8'), 'text');
});

test('a failed write leaves the old content and no temporary file', async (t) => {
  for (let n = 0; n < 4; n += 1) {
    const folder = await temporaryFolder(t);
    const disk = new FaultyDisk(realDisk);
    await writeFileDurably(disk, join(folder, 'a'), Buffer.from('old'), { tmp: folder });
    disk.arm(failAt(n, { code: 'EIO', when: 'half' }));
    await assert.rejects(writeFileDurably(disk, join(folder, 'a'), Buffer.from('new content'), { tmp: folder }), {
      code: 'EIO',
    });
    assert.deepEqual(await readdir(folder), ['a'], `step ${n}`);
    assert.equal(await readFile(join(folder, 'a'), 'utf8'), 'old');
  }
});

test('concurrent writes of one file never mix', async (t) => {
  const folder = await temporaryFolder(t);
  const texts = Array.from({ length: 20 }, (_, n) => String(n).repeat(5000));
  await Promise.all(
    texts.map((text) => writeFileDurably(realDisk, join(folder, 'a'), Buffer.from(text), { tmp: folder })),
  );
  assert.ok(texts.includes(await readFile(join(folder, 'a'), 'utf8')));
});

test('short writes and short reads are continued', async (t) => {
  const folder = await temporaryFolder(t);
  const short = {
    ...realDisk,
    write: (fd: number, bytes: Uint8Array, position: number) => realDisk.write(fd, bytes.subarray(0, 3), position),
    read: (fd: number, into: Uint8Array, position: number) => realDisk.read(fd, into.subarray(0, 2), position),
  };
  await writeFileDurably(short, join(folder, 'a'), Buffer.from('0123456789'), { tmp: folder });
  assert.equal(Buffer.from((await readWhole(short, join(folder, 'a'))) ?? []).toString(), '0123456789');
  assert.equal(await readWhole(short, join(folder, 'none')), null);
});

/** A disk on which the test completes each sync of a directory. */
function heldSyncs() {
  const waiting: { end: () => void; fail: (error: Error) => void }[] = [];
  const disk = {
    ...realDisk,
    syncDir: () => new Promise<void>((end, fail) => waiting.push({ end, fail })),
  };
  return { sync: new DirectorySync(disk), waiting };
}

const nothing = (): Promise<void> => Promise.resolve();

test('a directory is synced only after a change, once for all waiting callers', async () => {
  const { sync, waiting } = heldSyncs();
  await sync.sync('a');
  await sync.change('a', nothing);
  const both = Promise.all([sync.sync('a'), sync.sync('a')]);
  assert.equal(waiting.length, 1);
  waiting[0]?.end();
  await both;
  await sync.sync('a');
  assert.equal(waiting.length, 1);
});

test('a change during a sync needs another sync, and so does a failed sync', async () => {
  const { sync, waiting } = heldSyncs();
  await sync.change('a', nothing);
  const first = sync.sync('a');
  await sync.change('a', nothing);
  const second = sync.sync('a');
  assert.equal(waiting.length, 2);
  waiting[0]?.end();
  await first;
  waiting[1]?.fail(new Error('EIO'));
  await assert.rejects(second);
  const third = sync.sync('a');
  assert.equal(waiting.length, 3);
  waiting[2]?.end();
  await third;
});

test('a running sync covers neither a change that ends during it nor one that fails', async () => {
  const { sync, waiting } = heldSyncs();
  await sync.change('a', nothing);
  let end = (): void => undefined;
  const change = sync.change('a', () => new Promise<void>((resolve) => (end = resolve)));
  const others = sync.sync('a');
  end();
  await change;
  waiting[0]?.end();
  await others;
  const mine = sync.sync('a');
  assert.equal(waiting.length, 2);
  waiting[1]?.end();
  await mine;
  await assert.rejects(sync.change('a', () => Promise.reject(new Error('EIO, after the fact'))));
  void sync.sync('a');
  assert.equal(waiting.length, 3);
});
