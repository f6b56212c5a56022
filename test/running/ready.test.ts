/** `/ready` reports a data directory that cannot be written, and recovers. For a full disk see `test/crash`. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { NO_SMALL_DISK, type SmallDisk, smallDisk } from '../support/disk/small-disk.ts';
import { eventually } from '../support/eventually.ts';
import { startServerProcess } from '../support/servers/processes.ts';

const MIB = 1024 ** 2;

interface Watched {
  disk: string;
  small: SmallDisk;
  /** Waits until `/ready` has this status; returns its body. */
  ready(status: number): Promise<string>;
}

async function serveOn(t: TestContext, options = ''): Promise<Watched | null> {
  const small = await smallDisk(t, 24 * MIB, options);
  if (small === null) return null;
  const server = await startServerProcess(t, join(small.folder, 'data'));
  small.beforeUnmount(() => server.kill());
  const ready = async (status: number): Promise<string> => {
    let text = '';
    await eventually(async () => {
      const reply = await fetch(`${server.env.LADING_SERVER}/ready`);
      text = await reply.text();
      return reply.status === status;
    }, `/ready to be ${status}`);
    return text;
  };
  await ready(200);
  return { disk: small.folder, small, ready };
}

test('/ready reports a disk that was remounted read-only', async (t) => {
  const watched = await serveOn(t);
  if (watched === null) return t.skip(NO_SMALL_DISK);
  const { disk, small, ready } = watched;
  // A file that is open for writing prevents a remount. Systems force a remount after disk errors.
  const remounted = spawnSync('mount', ['-o', 'remount,ro', disk]).status === 0;
  if (!remounted) {
    execFileSync('mount', ['--bind', disk, disk]);
    small.beforeUnmount(async () => void execFileSync('umount', ['--lazy', disk]));
    execFileSync('mount', ['-o', 'remount,bind,ro', disk]);
  }
  assert.match(await ready(503), /cannot be written/);
  execFileSync('mount', ['-o', remounted ? 'remount,rw' : 'remount,bind,rw', disk]);
  await ready(200);
});

test('/ready reports a subdirectory of the data directory that is mounted read-only', async (t) => {
  const watched = await serveOn(t);
  if (watched === null) return t.skip(NO_SMALL_DISK);
  const { disk, small, ready } = watched;
  for (const name of ['files', 'clients', 'audit']) {
    const folder = join(disk, 'data', 'v1', name);
    execFileSync('mount', ['--bind', folder, folder]);
    small.beforeUnmount(async () => void spawnSync('umount', ['--lazy', folder]));
    execFileSync('mount', ['-o', 'remount,bind,ro', folder]);
    assert.match(await ready(503), /cannot be written/, name);
    execFileSync('mount', ['-o', 'remount,bind,rw', folder]);
    await ready(200);
  }
});

test('/ready reports a disk with free space but without inodes', async (t) => {
  const watched = await serveOn(t, 'nr_inodes=400');
  if (watched === null) return t.skip(NO_SMALL_DISK);
  const { disk, ready } = watched;
  const { ffree } = await statfs(disk);
  const names = Array.from({ length: ffree + 5 }, (_, i) => join(disk, `n${i}`));
  for (const name of names) await writeFile(name, '').catch(() => {});
  assert.match(await ready(503), /disk is full/);
  for (const name of names) await rm(name, { force: true });
  await ready(200);
});
