import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk } from '../../../../src/storage/disk/io/disk.ts';
import { realDisk } from '../../../../src/storage/disk/io/disk.ts';
import { Handles } from '../../../../src/storage/disk/io/handles.ts';

/** A cache of fake descriptors. Records which are open. */
function counted(idle: number) {
  const open = new Set<number>();
  let next = 100;
  let opened = 0;
  const disk: Disk = {
    ...realDisk,
    close: async (fd) => {
      assert.ok(open.delete(fd), `${fd} is closed once`);
    },
  };
  const handles = new Handles(disk, idle, async (key) => {
    if (key === 'absent') throw Object.assign(new Error('absent'), { code: 'ENOENT' });
    next += 1;
    opened += 1;
    open.add(next);
    return next;
  });
  return { handles, open, opened: () => opened };
}

test('users of one key share a descriptor, which stays open after the last release', async () => {
  const { handles, open, opened } = counted(10);
  const [a, b] = await Promise.all([handles.acquire('x'), handles.acquire('x')]);
  assert.equal(a.fd, b.fd);
  a.release();
  a.release();
  assert.equal(handles.idle, 0, 'releasing twice counts once');
  b.release();
  assert.equal(handles.idle, 1);
  assert.equal((await handles.acquire('x')).fd, a.fd);
  assert.equal(opened(), 1);
  assert.equal(open.size, 1);
});

test('only the latest unused descriptors stay open', async () => {
  const { handles, open, opened } = counted(3);
  for (let n = 0; n < 10; n += 1) (await handles.acquire(`k${n}`)).release();
  // Using k7 again makes it the latest of the three.
  (await handles.acquire('k7')).release();
  (await handles.acquire('new')).release();
  await handles.close();
  assert.equal(opened(), 11);
  assert.equal(open.size, 0);
});

test('the descriptor unused for longest is closed first', async () => {
  const { handles, opened } = counted(2);
  for (const key of ['a', 'b', 'a', 'c']) (await handles.acquire(key)).release();
  (await handles.acquire('a')).release();
  assert.equal(opened(), 3, 'a was still open');
  (await handles.acquire('b')).release();
  assert.equal(opened(), 4, 'b was not');
});

test('after ten thousand keys were in use at once, only the limit of descriptors stays open', async () => {
  const { handles, open } = counted(256);
  const leases = await Promise.all(Array.from({ length: 10_000 }, (_, n) => handles.acquire(String(n))));
  assert.equal(open.size, 10_000);
  for (const lease of leases) lease.release();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(open.size, 256);
});

test('a dropped descriptor stays open for its users, and others open a new one', async () => {
  const { handles, open } = counted(10);
  const before = await handles.acquire('x');
  handles.drop('x');
  const after = await handles.acquire('x');
  assert.notEqual(before.fd, after.fd);
  assert.ok(open.has(before.fd));
  before.release();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(!open.has(before.fd));
  assert.ok(open.has(after.fd));
});

test('a failed open fails for all waiting callers, and the next call tries again', async () => {
  const { handles } = counted(10);
  const results = await Promise.allSettled([handles.acquire('absent'), handles.acquire('absent')]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await assert.rejects(handles.acquire('absent'), { code: 'ENOENT' });
  assert.equal(handles.has('absent'), false);
});

test('an adopted descriptor is used and closed like any other', async () => {
  const { handles, open, opened } = counted(10);
  open.add(7);
  handles.adopt('x', 7);
  const lease = await handles.acquire('x');
  assert.equal(lease.fd, 7);
  lease.release();
  await handles.close();
  assert.equal(open.size, 0);
  assert.equal(opened(), 0);
});
