/**
 * The lock of a data directory: at most one server uses the directory.
 *
 * The lock is a file that names its holder. It is created by `link`, which is atomic and fails when the file exists. A holder that
 * crashes leaves the file behind. Exactly one newcomer may then replace it:
 *
 *     lock          { nonce N, dead holder }
 *     lock.N        a lock on the right to replace that lock, created in the same way
 *
 * Only the holder of `lock.N` may replace a lock with nonce N. It first checks again that the lock still has this nonce. So when two
 * newcomers find the same dead holder, one replaces it and the other one finds a living holder.
 *
 * A holder of the same boot and pid namespace is alive if the process with its number has its start time. A holder of an earlier boot of
 * the same machine is dead. Any other holder (another host or container on shared storage) cannot be checked. But a living holder changes
 * the file every two seconds, so a newcomer watches it for a while.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { codeOf, type Disk, realDisk } from '../io/disk.ts';
import { readWhole, writeFully } from '../io/durable.ts';

const HEARTBEAT_MS = 2_000;
const WATCH_MS = 7_000;
/** Attempts to acquire a lock whose holder keeps changing. */
const MAX_ATTEMPTS = 50;

interface Holder {
  nonce: string;
  pid: number;
  /** Start time of the process in ticks of the system. Empty if unknown. */
  started: string;
  /** The scope in which the pid is valid. Each is empty if unknown. */
  machine: string;
  boot: string;
  namespace: string;
}

export interface Lock {
  /** False once the lock file was removed or replaced. Rejects when the file cannot be checked. */
  isMine(): Promise<boolean>;
  /** Calls the listener after each heartbeat. `failed`: the heartbeat could not be written. */
  onHeartbeat(listener: (failed: boolean) => void): void;
  /** Removes the lock. */
  release(): Promise<void>;
}

export interface LockOptions {
  /** How long to watch a holder on another machine for a heartbeat, in milliseconds. */
  watchMs?: number;
}

/** Another server uses the data directory. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';

  constructor(pid: number) {
    super(`data directory is in use by process ${pid}`);
  }
}

/** Acquires the lock at `path`. Throws `DirectoryInUse` while another server holds it. */
export async function acquireLock(disk: Disk, path: string, options: LockOptions = {}): Promise<Lock> {
  const self = await describeSelf();
  await take(disk, path, self, options.watchMs ?? WATCH_MS);
  const fd = await disk.open(path, 'r+');
  const own = await identityOf(path);
  const heartbeat = startHeartbeat(disk, fd, self);
  const isMine = async (): Promise<boolean> => {
    // A copy of the directory has a lock with the same content, so the identity of the file counts, too.
    return (await identityOf(path)) === own && (await readHolder(realDisk, path))?.holder.nonce === self.nonce;
  };
  return {
    isMine,
    onHeartbeat: (listener) => heartbeat.listen(listener),
    release: async () => {
      await heartbeat.stop();
      await disk.close(fd);
      if (await isMine()) await disk.unlink(path);
    },
  };
}

/**
 * True for files that crashed newcomers left beside the lock. Only the holder may remove them. That is safe because a nonce is never used
 * again: a newcomer that loses its `lock.N`, or acquires it again, also finds that the lock has changed.
 */
export function isLockLeftover(name: string): boolean {
  return /^lock([.]|.*[.]tmp$)/.test(name);
}

/** Device and inode of the file or directory at `path`. Null if it does not exist. */
export async function identityOf(path: string): Promise<string | null> {
  try {
    const { dev, ino } = await fs.stat(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch (error) {
    // ENOTDIR: a file has replaced one of the directories above.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}

/** Creates or replaces the lock at `path`. Throws when another server holds it. */
async function take(disk: Disk, path: string, self: Holder, watchMs: number): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    if (await createIfAbsent(disk, path, self)) return;
    const seen = await readHolder(disk, path);
    if (seen === null) continue;
    if (await isAlive(disk, path, seen, self, watchMs)) {
      throw new DirectoryInUse(seen.holder.pid);
    }
    const guard = `${path}.${seen.holder.nonce}`;
    await take(disk, guard, self, watchMs);
    try {
      if ((await readHolder(disk, path))?.holder.nonce !== seen.holder.nonce) continue;
      await replace(disk, path, self);
      return;
    } finally {
      await disk.rm(guard);
    }
  }
  throw new Error('data directory is in use: the holder of its lock keeps changing');
}

async function createIfAbsent(disk: Disk, path: string, self: Holder): Promise<boolean> {
  const temporary = await writeTemporary(disk, path, self);
  try {
    await disk.link(temporary, path);
    return true;
  } catch (error) {
    // ENOENT: another server got the lock and removed leftovers.
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return false;
    throw error;
  } finally {
    await disk.rm(temporary);
  }
}

async function replace(disk: Disk, path: string, self: Holder): Promise<void> {
  await disk.rename(await writeTemporary(disk, path, self), path);
}

async function writeTemporary(disk: Disk, path: string, self: Holder): Promise<string> {
  const temporary = `${path}-${randomBytes(8).toString('hex')}.tmp`;
  const fd = await disk.open(temporary, 'wx+');
  try {
    await writeFully(disk, fd, encode(self, 0), 0);
    // A power loss must not leave an empty lock.
    await disk.datasync(fd);
  } finally {
    await disk.close(fd);
  }
  return temporary;
}

/** The content of a lock file. All heartbeats of a holder have one length, so that each overwrites the previous one exactly. */
function encode(holder: Holder, beat: number): Uint8Array {
  return Buffer.from(`${JSON.stringify({ ...holder, beat: String(beat).padStart(12, '0') })}\n`, 'utf8');
}

async function readHolder(disk: Disk, path: string): Promise<{ holder: Holder; text: string } | null> {
  const bytes = await readWhole(disk, path);
  if (bytes === null) return null;
  const text = Buffer.from(bytes).toString('utf8');
  return { holder: parseHolder(text), text };
}

function parseHolder(text: string): Holder {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null;
  }
  const field = (name: string): string => {
    const value: unknown = typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, name) : '';
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  const nonce = field('nonce');
  return {
    // The holder of an unreadable lock is unknown: it is watched for heartbeats and then replaced.
    nonce: /^[0-9a-f]{16}$/.test(nonce) ? nonce : 'damaged',
    pid: Number(field('pid')),
    started: field('started'),
    machine: field('machine'),
    boot: field('boot'),
    namespace: field('namespace'),
  };
}

async function isAlive(
  disk: Disk,
  path: string,
  seen: { holder: Holder; text: string },
  self: Holder,
  watchMs: number,
): Promise<boolean> {
  const { holder } = seen;
  if (holder.boot === self.boot && holder.namespace === self.namespace && holder.machine === self.machine) {
    return holder.started === '' ? isRunning(holder.pid) : (await startOf(holder.pid)) === holder.started;
  }
  if (holder.machine === self.machine && holder.boot !== self.boot && (await machineId()) !== '') return false;
  await new Promise((resolve) => setTimeout(resolve, watchMs));
  const later = await readHolder(disk, path);
  return later !== null && later.text !== seen.text;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

async function describeSelf(): Promise<Holder> {
  return {
    nonce: randomBytes(8).toString('hex'),
    pid: process.pid,
    started: await startOf(process.pid),
    machine: `${hostname()} ${await machineId()}`,
    boot: (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim(),
    namespace: await fs.readlink('/proc/self/ns/pid').catch(() => ''),
  };
}

async function machineId(): Promise<string> {
  return (await fs.readFile('/etc/machine-id', 'utf8').catch(() => '')).trim();
}

/** Start time of a process. Empty if the process does not exist, or the system has no /proc. */
async function startOf(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name in parentheses may itself contain spaces and parentheses. Field 22 is the 20th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie holds no lock.
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
}

function startHeartbeat(
  disk: Disk,
  fd: number,
  self: Holder,
): { listen(listener: (failed: boolean) => void): void; stop(): Promise<void> } {
  let count = 0;
  let listener: (failed: boolean) => void = () => {};
  let last: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    count += 1;
    last = writeFully(disk, fd, encode(self, count), 0).then(
      () => listener(false),
      () => listener(true),
    );
  }, HEARTBEAT_MS);
  timer.unref();
  return {
    listen: (next) => {
      listener = next;
    },
    stop: async () => {
      clearInterval(timer);
      await last;
    },
  };
}
