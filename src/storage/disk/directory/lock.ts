/**
 * One server a data directory.
 *
 * The lock is a file that names its holder. It comes into being by `link`, which is atomic and refuses when it is there. A holder
 * that died leaves it behind; then it must be replaced, and by one newcomer only:
 *
 *     lock          { nonce N, holder dead }
 *     lock.N        who may replace *that* lock: a lock itself, made in the same way
 *
 * Only who holds `lock.N` may replace a lock with nonce N, and after getting it looks again whether the lock still has it. So two
 * newcomers who both saw the dead holder end with one replacing it and the other one finding a living holder.
 *
 * Is a holder alive? In the same boot and pid namespace: if the process of that number has that start time. From an earlier boot
 * of the same machine: no. Otherwise (another host or container on shared storage) nobody can ask, but a living holder changes
 * the file every two seconds, so a newcomer watches it for a while.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { codeOf, type Disk, realDisk } from '../io/disk.ts';
import { readWhole, writeFully } from '../io/durable.ts';

const HEARTBEAT_MS = 2_000;
const WATCH_MS = 7_000;
/** Enough to get past holders that come and go; each turn ends in a lock or in a living holder. */
const MAX_ATTEMPTS = 50;

interface Holder {
  nonce: string;
  pid: number;
  /** Start time of the process in the system's ticks; empty where the system does not say. */
  started: string;
  /** Where the pid means something; each empty where the system does not say. */
  machine: string;
  boot: string;
  namespace: string;
}

export interface Lock {
  /** False once the file at the lock's path is another one, or none. Rejects when that cannot be found out. */
  isMine(): Promise<boolean>;
  /** Calls the listener after each beat; `failed`: it could not be written. */
  onHeartbeat(listener: (failed: boolean) => void): void;
  /** Lets another server in. */
  release(): Promise<void>;
}

export interface LockOptions {
  /** How long a holder that nobody can ask about is watched, in milliseconds. */
  watchMs?: number;
}

/** Another server has the data directory. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse';

  constructor(pid: number) {
    super(`data directory is in use by process ${pid}`);
  }
}

/** Throws `DirectoryInUse` while another server has it. */
export async function acquireLock(disk: Disk, path: string, options: LockOptions = {}): Promise<Lock> {
  const me = await describeSelf();
  await take(disk, path, me, options.watchMs ?? WATCH_MS);
  const fd = await disk.open(path, 'r+');
  const own = await identityOf(path);
  const beat = startHeartbeat(disk, fd, me);
  const isMine = async (): Promise<boolean> => {
    // A copy of the directory has a lock that says the same.
    return (await identityOf(path)) === own && (await readHolder(realDisk, path))?.holder.nonce === me.nonce;
  };
  return {
    isMine,
    onHeartbeat: (listener) => beat.listen(listener),
    release: async () => {
      await beat.stop();
      await disk.close(fd);
      if (await isMine()) await disk.unlink(path);
    },
  };
}

/**
 * What crashed newcomers left beside the lock. Only for its holder: the nonces that those guards speak of never come back, so
 * a server that finds one removed, or acquires one again, finds the lock changed as well.
 */
export function isLockLeftover(name: string): boolean {
  return /^lock([.]|.*[.]tmp$)/.test(name);
}

/** Which file or directory is at `path`, whatever is in it; null: none. */
export async function identityOf(path: string): Promise<string | null> {
  try {
    const { dev, ino } = await fs.stat(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch (error) {
    // ENOTDIR: there is a file where a directory was.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}

/** Makes `path` mine, or throws. */
async function take(disk: Disk, path: string, me: Holder, watchMs: number): Promise<void> {
  for (let turn = 0; turn < MAX_ATTEMPTS; turn += 1) {
    if (await createIfAbsent(disk, path, me)) return;
    const seen = await readHolder(disk, path);
    if (seen === null) continue;
    if (await isAlive(disk, path, seen, me, watchMs)) {
      throw new DirectoryInUse(seen.holder.pid);
    }
    const guard = `${path}.${seen.holder.nonce}`;
    await take(disk, guard, me, watchMs);
    try {
      if ((await readHolder(disk, path))?.holder.nonce !== seen.holder.nonce) continue;
      await replace(disk, path, me);
      return;
    } finally {
      await disk.rm(guard);
    }
  }
  throw new Error('data directory is in use: its lock changes hands all the time');
}

async function createIfAbsent(disk: Disk, path: string, me: Holder): Promise<boolean> {
  const temporary = await writeTemporary(disk, path, me);
  try {
    await disk.link(temporary, path);
    return true;
  } catch (error) {
    // ENOENT: a server that got the lock meanwhile tidies up.
    if (codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOENT') return false;
    throw error;
  } finally {
    await disk.rm(temporary);
  }
}

async function replace(disk: Disk, path: string, me: Holder): Promise<void> {
  await disk.rename(await writeTemporary(disk, path, me), path);
}

async function writeTemporary(disk: Disk, path: string, me: Holder): Promise<string> {
  const temporary = `${path}-${randomBytes(8).toString('hex')}.tmp`;
  const fd = await disk.open(temporary, 'wx+');
  try {
    await writeFully(disk, fd, encode(me, 0), 0);
    // A power loss must not leave a lock that names nobody.
    await disk.datasync(fd);
  } finally {
    await disk.close(fd);
  }
  return temporary;
}

/** Always the same length, so that a beat overwrites exactly the previous one. */
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
    // One that cannot be read is nobody's; it gets watched, and then replaced.
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
  me: Holder,
  watchMs: number,
): Promise<boolean> {
  const { holder } = seen;
  if (holder.boot === me.boot && holder.namespace === me.namespace && holder.machine === me.machine) {
    return holder.started === '' ? isRunning(holder.pid) : (await startOf(holder.pid)) === holder.started;
  }
  if (holder.machine === me.machine && holder.boot !== me.boot && (await machineId()) !== '') return false;
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

/** Start time of a process; empty when there is no such process or no /proc. */
async function startOf(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name in parentheses may hold spaces and parentheses itself; field 22 is the 20th after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie holds nothing any more.
  return fields[0] === 'Z' || fields[0] === 'X' ? '' : (fields[19] ?? '');
}

function startHeartbeat(
  disk: Disk,
  fd: number,
  me: Holder,
): { listen(listener: (failed: boolean) => void): void; stop(): Promise<void> } {
  let count = 0;
  let listener: (failed: boolean) => void = () => {};
  let last: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    count += 1;
    last = writeFully(disk, fd, encode(me, count), 0).then(
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
