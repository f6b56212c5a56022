/** Two servers never share a data directory. Runs real processes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { acquireLock } from '../../../../src/storage/disk/directory/lock.ts';
import { realDisk } from '../../../../src/storage/disk/io/disk.ts';
import { openTestStore, temporaryFolder } from '../../../support/disk/storage.ts';

const HOLDER = fileURLToPath(new URL('../../../support/disk/lock-holder.js', import.meta.url));

interface Starter {
  child: ChildProcess;
  said: string;
}

/** Resolves when the process has reported its result. */
async function start(t: TestContext, path: string): Promise<Starter> {
  const child = spawn(process.execPath, [HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [said] = await once(createInterface({ input: child.stdout }), 'line');
  return { child, said: String(said) };
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

async function lockPath(t: TestContext): Promise<string> {
  return join(await temporaryFolder(t), 'lock');
}

test('a second process is refused with the process id of the first', async (t) => {
  const path = await lockPath(t);
  const first = await start(t, path);
  assert.equal(first.said, 'locked');
  const second = await start(t, path);
  assert.equal(second.said, `data directory is in use by process ${first.child.pid}`);
  await assert.rejects(acquireLock(realDisk, path), { message: second.said });
});

test('the next process gets the lock after a clean stop and after a kill', async (t) => {
  const path = await lockPath(t);
  const first = await start(t, path);
  const exit = once(first.child, 'exit');
  first.child.stdin?.end();
  await exit;
  assert.deepEqual(await readdir(join(path, '..')), []);
  const second = await start(t, path);
  assert.equal(second.said, 'locked');
  await kill(second.child);
  const third = await start(t, path);
  assert.equal(third.said, 'locked');
});

test('exactly one of many processes gets the lock of a dead holder', async (t) => {
  const path = await lockPath(t);
  for (let round = 0; round < 4; round += 1) {
    await kill((await start(t, path)).child);
    const starters = await Promise.all(Array.from({ length: 6 }, () => start(t, path)));
    const winners = starters.filter(({ said }) => said === 'locked');
    assert.equal(winners.length, 1, starters.map(({ said }) => said).join('; '));
    for (const { said } of starters) assert.match(said, /^(locked|data directory is in use by process \d+)$/);
    await Promise.all(starters.map(({ child }) => (child.exitCode === null ? kill(child) : null)));
  }
});

test('exactly one of many processes gets a free lock', async (t) => {
  const path = await lockPath(t);
  const starters = await Promise.all(Array.from({ length: 6 }, () => start(t, path)));
  assert.equal(starters.filter(({ said }) => said === 'locked').length, 1);
});

test('exactly one of many callers in one process gets the lock, even after a crash left a guard', async (t) => {
  const path = await lockPath(t);
  const dead = await start(t, path);
  await kill(dead.child);
  const { nonce } = JSON.parse(await readFile(path, 'utf8'));
  // A process crashed while it replaced the lock of a dead one.
  await writeFile(`${path}.${nonce}`, (await readFile(path, 'utf8')).replace(nonce, '0123456789abcdef'));
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLock(realDisk, path)));
  const locks = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  assert.equal(locks.length, 1);
  await locks[0]?.release();
});

test('a process that reuses the process id of a dead holder is not the holder', async (t) => {
  const path = await lockPath(t);
  const holder = await start(t, path);
  const text = await readFile(path, 'utf8');
  await kill(holder.child);
  const { started } = JSON.parse(text);
  const reused = text.replace(`"pid":${holder.child.pid}`, `"pid":${process.pid}`);
  assert.notEqual(reused, text);
  assert.ok(String(started).length > 0);
  await writeFile(path, reused);
  const lock = await acquireLock(realDisk, path);
  await lock.release();
});

test('a holder on another machine keeps its lock only while its heartbeat changes the file', async (t) => {
  const path = await lockPath(t);
  const holder = await start(t, path);
  // As another container sees it: the same machine and boot, but another pid namespace.
  const elsewhere = (text: string): string => text.replace(/"namespace":"[^"]*"/, '"namespace":"pid:[1]"');
  await kill(holder.child);
  const text = elsewhere(await readFile(path, 'utf8'));
  await writeFile(path, text);
  let beat = 0;
  let last = Promise.resolve();
  const beating = setInterval(() => {
    beat += 1;
    last = writeFile(path, text.replace(/"beat":"\d+"/, `"beat":"${String(beat).padStart(12, '0')}"`));
  }, 100);
  try {
    await assert.rejects(acquireLock(realDisk, path, { watchMs: 1_000 }), /in use by process/);
  } finally {
    clearInterval(beating);
  }
  await last;
  const lock = await acquireLock(realDisk, path, { watchMs: 1_000 });
  await lock.release();
});

test('an unreadable lock is watched and then replaced', async (t) => {
  for (const text of ['', 'not json', '{}', '{"nonce":"../../../etc"}', 'null']) {
    const path = await lockPath(t);
    await writeFile(path, text);
    const lock = await acquireLock(realDisk, path, { watchMs: 10 });
    await lock.release();
    assert.deepEqual(await readdir(join(path, '..')), []);
  }
});

test('a store refuses a directory in use, and releases its own when it is closed', async (t) => {
  const dataDir = await temporaryFolder(t);
  const store = await openTestStore(t, { dataDir });
  await assert.rejects(openTestStore(t, { dataDir }), {
    message: `data directory is in use by process ${process.pid}`,
  });
  await store.close();
  await (await openTestStore(t, { dataDir })).close();
});
