/**
 * One finished file onto an FTP or FTPS server: under a temporary name, renamed once it is whole.
 *
 * What a try leaves there when it breaks off is kept before it is made, so that a later connection can remove it, whichever side crashed.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { FTPError } from 'basic-ftp';
import { renameToFree } from './ftp-names.ts';
import { type FtpAccess, type FtpSession, withFtp } from './ftp-session.ts';
import type { FtpTrace } from './ftp-trace.ts';

const READ_BYTES = 256 * 1024;
/** Temporary files of one delivery on a server that neither removes nor replaces them. */
const MAX_LEFT = 3;
/** Between the beginning and the end of the data connection of an empty file, from try to try. */
const EMPTY_PAUSES_MS = [100, 1_000, 5_000];

/** In all names of one try: what tells it from others. */
const TRY = /^\.(?:lading-[0-9a-f]{16}-)?(.+-[0-9a-f]{8})\.part$/;

export interface Content {
  size: number;
  read(into: Uint8Array, position: number): Promise<number>;
}

export interface FtpFile extends Content {
  /** Names on the server: the first that is free becomes its own. */
  names: Iterable<string>;
  id: string;
  trace: FtpTrace;
  /** Durable when it resolves, if it is to be; rejects when the delivery was cancelled meanwhile. */
  saveTrace(trace: FtpTrace, durable?: boolean): Promise<void>;
  /** Called whenever some of its bytes were taken. */
  onProgress(): void;
}

/** Puts a file. Rejects with what the server or the connection said. */
export async function putByFtp(access: FtpAccess, file: FtpFile, signal: AbortSignal): Promise<void> {
  await withFtp(access, signal, true, (session) => put(session, access, file));
}

/**
 * Removes what tries left on a server.
 * @returns what it refused to remove
 */
export async function removeTemporaryNames(
  access: FtpAccess,
  temporaryNames: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  return (await withFtp(access, signal, false, (session) => clean(session, temporaryNames))) ?? [];
}

async function put(session: FtpSession, { target }: FtpAccess, file: FtpFile): Promise<void> {
  let { trace } = file;
  const keep = async (next: FtpTrace): Promise<void> => {
    await file.saveTrace(next);
    trace = next;
  };
  const done = await isDone(session, file);
  // Before they are removed: their absence says that the file was renamed.
  if (!done && trace.remoteName !== null) await keep({ ...trace, remoteName: null });
  if (trace.temporaryNames.length > 0)
    await keep({ ...trace, temporaryNames: await clean(session, trace.temporaryNames) });
  if (done) return;
  try {
    const old = trace.temporaryNames;
    const temporary = await sendUnderSome(session, file, old, (temporaryNames) => keep({ ...trace, temporaryNames }));
    const stored = (await session.size(temporary)) ?? null;
    if (stored !== null && stored !== file.size) throw new Error(`the server has ${stored} of ${file.size} bytes`);
    const others = old.filter((name) => name !== temporary);
    await oneAtATime(`${target.host}:${target.port}/${target.directory}`, async () => {
      await renameToFree(session, {
        ...file,
        temporary,
        sized: stored !== null,
        saveTrace: (next) => keep({ ...next, temporaryNames: [...others, ...next.temporaryNames] }),
      });
    });
    // It is stored with the word that it was delivered.
    await file.saveTrace({ ...trace, temporaryNames: others }, false);
  } catch (error) {
    // At once, while the connection is there: on a full disk, what was sent of this file keeps others from being written.
    if (!session.client.closed)
      await keep({ remoteName: null, temporaryNames: await clean(session, trace.temporaryNames) });
    throw error;
  }
}

/**
 * Sends the file under a temporary name. Where the server removes nothing, one that an earlier try left is written over: each try would
 * leave a file of its own.
 * @returns the name
 */
async function sendUnderSome(
  session: FtpSession,
  file: FtpFile,
  old: readonly string[],
  keep: (temporaryNames: readonly string[]) => Promise<void>,
): Promise<string> {
  const used = old.filter((name) => isTemporary(name, file.id));
  for (const name of used) {
    try {
      await send(session, file, name);
      return name;
    } catch (error) {
      if (session.client.closed || !isRefusedName(error)) throw error;
      if (used.length >= MAX_LEFT) throw new Error(`the server neither removes nor replaces ${name}`, { cause: error });
    }
  }
  // Another name for each try: a session of the server that is still there from the last one may go on writing.
  const temporary = `.${file.id}-${randomBytes(4).toString('hex')}.part`;
  await keep([...old, temporary]);
  await send(session, file, temporary);
  return temporary;
}

/** True for a name that a try sends a file under; others are of its way to its last name, or a server's own. */
function isTemporary(name: string, id: string): boolean {
  return name.startsWith(`.${id}-`) && name.endsWith('.part');
}

/** The server refuses the name, not the bytes: not a full disk, for example. */
function isRefusedName(error: unknown): boolean {
  return error instanceof FTPError && (error.code === 550 || error.code === 553);
}

async function send(session: FtpSession, file: FtpFile, temporary: string): Promise<void> {
  // With TLS, some servers take a data connection that ends right after its handshake for one that failed, and no message of theirs tells
  // when they are done with it. Data would; an empty file has none.
  const pauses = file.size === 0 && session.client.ftp.hasTLS ? EMPTY_PAUSES_MS : [0];
  for (const [index, pauseMs] of pauses.entries()) {
    const source = Readable.from(bytesAfter(pauseMs, file), { objectMode: false, highWaterMark: READ_BYTES });
    try {
      await session.transfer(() => session.client.uploadFrom(source, temporary));
      return;
    } catch (error) {
      const refused = error instanceof FTPError && (error.code === 425 || error.code === 426);
      if (!refused || index === pauses.length - 1) throw error;
      await session.allows(`DELE ${temporary}`);
    }
  }
}

async function* bytesAfter(pauseMs: number, file: FtpFile): AsyncGenerator<Uint8Array> {
  if (pauseMs > 0) await setTimeout(pauseMs);
  yield* bytesOf(file, file.onProgress);
}

/** True when an earlier try gave the file its name and only the reply was lost: then nothing is left under the other one, kept last. */
async function isDone(session: FtpSession, { trace: { remoteName, temporaryNames }, size }: FtpFile): Promise<boolean> {
  if (remoteName === null || (await session.size(remoteName)) !== size) return false;
  const before = temporaryNames.findLast((name) => !name.endsWith('/'));
  return before === undefined || (await session.size(before)) === null;
}

/** @returns what is still there */
async function clean(session: FtpSession, temporaryNames: readonly string[]): Promise<string[]> {
  const left: string[] = [];
  for (const name of temporaryNames) {
    // Folders were made by an earlier version.
    if (name.endsWith('/')) {
      const folder = name.slice(0, -1);
      if (!(await session.allows(`RMD ${folder}`)) && (await session.isFolder(folder))) left.push(name);
    } else if (!(await session.allows(`DELE ${name}`)) && (await session.size(name)) !== null) left.push(name);
  }
  // Some servers store under another name until a file is whole, and leave that one when they crash.
  for (const key of new Set(temporaryNames.flatMap((name) => TRY.exec(name)?.[1] ?? []))) {
    for (const name of (await session.names(`.*${key}*`)) ?? []) {
      if (!name.includes(key) || left.includes(name)) continue;
      if (!(await session.allows(`DELE ${name}`))) left.push(name);
    }
  }
  return left;
}

/** Deliveries that look for a free name and take it, by folder of a server. */
const naming = new Map<string, Promise<void>>();

/** Two deliveries to one folder must not find the same name free. */
async function oneAtATime(folder: string, work: () => Promise<void>): Promise<void> {
  const before = naming.get(folder) ?? Promise.resolve();
  const run = before.catch(() => {}).then(work);
  naming.set(folder, run);
  try {
    await run;
  } finally {
    if (naming.get(folder) === run) naming.delete(folder);
  }
}

/** The bytes of a file, in pieces of 256 KiB. */
export async function* bytesOf({ size, read }: Content, moved: () => void = () => {}): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < size; ) {
    const buffer = new Uint8Array(Math.min(READ_BYTES, size - position));
    const count = await read(buffer, position);
    if (count === 0) throw new Error('the file ended early');
    position += count;
    moved();
    yield buffer.subarray(0, count);
  }
}
