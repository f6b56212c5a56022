/**
 * Uploads a file to an FTP or FTPS server under a temporary name, and renames it when it is complete.
 *
 * Each temporary name is stored before it is used on the server, so that a later connection can delete it, whichever side crashed.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { FTPError } from 'basic-ftp';
import { renameToFreeName } from './ftp-names.ts';
import { type FtpAccess, type FtpSession, withFtp } from './ftp-session.ts';
import type { FtpTrace } from './ftp-trace.ts';

const READ_BYTES = 256 * 1024;
/** Maximum number of temporary files of one delivery, on a server that neither deletes nor replaces them. */
const MAX_TEMPORARY_FILES = 3;
/** How long the data connection of an empty file stays open, for each attempt; see `send`. */
const EMPTY_PAUSES_MS = [100, 1_000, 5_000];

/** Matches temporary names. The group identifies the attempt. */
const ATTEMPT_NAME = /^\.(?:lading-[0-9a-f]{16}-)?(.+-[0-9a-f]{8})\.part$/;

/** The bytes of a stored file. */
export interface Content {
  size: number;
  read(into: Uint8Array, position: number): Promise<number>;
}

/** A file to upload. */
export interface FtpFile extends Content {
  /** Candidates for the final name, in order of preference. */
  names: Iterable<string>;
  id: string;
  trace: FtpTrace;
  /** Stores the trace. Durable when it resolves, unless `durable` is false. Rejects if the delivery was cancelled. */
  saveTrace(trace: FtpTrace, durable?: boolean): Promise<void>;
  /** Called whenever bytes were sent. */
  onProgress(): void;
}

/** Uploads a file. @throws Error with the reply of the server or the error of the connection */
export async function putByFtp(access: FtpAccess, file: FtpFile, signal: AbortSignal): Promise<void> {
  await withFtp(access, signal, true, (session) => put(session, access, file));
}

/**
 * Deletes temporary files on a server.
 * @returns the names that the server refused to delete
 */
export async function removeTemporaryNames(
  access: FtpAccess,
  temporaryNames: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  return (await withFtp(access, signal, false, (session) => deleteNames(session, temporaryNames))) ?? [];
}

/** Uploads and renames, or finishes what an earlier attempt began. */
async function put(session: FtpSession, { target }: FtpAccess, file: FtpFile): Promise<void> {
  let { trace } = file;
  const save = async (next: FtpTrace): Promise<void> => {
    await file.saveTrace(next);
    trace = next;
  };
  const isDone = await isDelivered(session, file);
  // Stored before the temporary files are deleted, because their absence means that the file was renamed.
  if (!isDone && trace.remoteName !== null) await save({ ...trace, remoteName: null });
  if (trace.temporaryNames.length > 0)
    await save({ ...trace, temporaryNames: await deleteNames(session, trace.temporaryNames) });
  if (isDone) return;
  try {
    const old = trace.temporaryNames;
    const temporary = await sendToTemporaryName(session, file, old, (temporaryNames) =>
      save({ ...trace, temporaryNames }),
    );
    const stored = (await session.size(temporary)) ?? null;
    if (stored !== null && stored !== file.size) throw new Error(`the server stored ${stored} of ${file.size} bytes`);
    const others = old.filter((name) => name !== temporary);
    await serialize(`${target.host}:${target.port}/${target.directory}`, async () => {
      await renameToFreeName(session, {
        ...file,
        temporary,
        supportsSize: stored !== null,
        saveTrace: (next) => save({ ...next, temporaryNames: [...others, ...next.temporaryNames] }),
      });
    });
    // Not durable: the outcome of the delivery is stored next, in the same document.
    await file.saveTrace({ ...trace, temporaryNames: others }, false);
  } catch (error) {
    // Deleted at once while the connection is open. On a full disk, the partial file would keep others from being stored.
    if (!session.client.closed)
      await save({ remoteName: null, temporaryNames: await deleteNames(session, trace.temporaryNames) });
    throw error;
  }
}

/**
 * Sends the file under a temporary name. If the server refused to delete the file of an earlier attempt, overwrites that file, so that
 * repeated attempts do not pile up.
 * @returns the temporary name
 */
async function sendToTemporaryName(
  session: FtpSession,
  file: FtpFile,
  old: readonly string[],
  save: (temporaryNames: readonly string[]) => Promise<void>,
): Promise<string> {
  const used = old.filter((name) => isTemporary(name, file.id));
  for (const name of used) {
    try {
      await send(session, file, name);
      return name;
    } catch (error) {
      if (session.client.closed || !isRefusedName(error)) throw error;
      if (used.length >= MAX_TEMPORARY_FILES)
        throw new Error(`the server neither removes nor replaces ${name}`, { cause: error });
    }
  }
  // A new name for each attempt, because a session of the last attempt may still be writing on the server.
  const temporary = `.${file.id}-${randomBytes(4).toString('hex')}.part`;
  await save([...old, temporary]);
  await send(session, file, temporary);
  return temporary;
}

/** True for the temporary name of an upload. False for claims and for names that a server created by itself. */
function isTemporary(name: string, id: string): boolean {
  return name.startsWith(`.${id}-`) && name.endsWith('.part');
}

/** True if the server refused the name of the file, not its content. */
function isRefusedName(error: unknown): boolean {
  return error instanceof FTPError && (error.code === 550 || error.code === 553);
}

async function send(session: FtpSession, file: FtpFile, temporary: string): Promise<void> {
  // Some servers treat a TLS data connection that closes right after the handshake as failed, and send no message after which it is safe to
  // close it. This happens only with empty files, whose connection therefore stays open for a while.
  const pauses = file.size === 0 && session.client.ftp.hasTLS ? EMPTY_PAUSES_MS : [0];
  for (const [index, pauseMs] of pauses.entries()) {
    const source = Readable.from(bytesAfterPause(pauseMs, file), { objectMode: false, highWaterMark: READ_BYTES });
    try {
      await session.transfer(() => session.client.uploadFrom(source, temporary));
      return;
    } catch (error) {
      const refused = error instanceof FTPError && (error.code === 425 || error.code === 426);
      if (!refused || index === pauses.length - 1) throw error;
      await session.trySend(`DELE ${temporary}`);
    }
  }
}

async function* bytesAfterPause(pauseMs: number, file: FtpFile): AsyncGenerator<Uint8Array> {
  if (pauseMs > 0) await setTimeout(pauseMs);
  yield* bytesOf(file, file.onProgress);
}

/** True if an earlier attempt renamed the file and only the reply was lost: the last temporary name no longer exists. */
async function isDelivered(
  session: FtpSession,
  { trace: { remoteName, temporaryNames }, size }: FtpFile,
): Promise<boolean> {
  if (remoteName === null || (await session.size(remoteName)) !== size) return false;
  const before = temporaryNames.findLast((name) => !name.endsWith('/'));
  return before === undefined || (await session.size(before)) === null;
}

/** @returns the names that still exist */
async function deleteNames(session: FtpSession, temporaryNames: readonly string[]): Promise<string[]> {
  const left: string[] = [];
  for (const name of temporaryNames) {
    // Earlier versions created directories.
    if (name.endsWith('/')) {
      const directory = name.slice(0, -1);
      if (!(await session.trySend(`RMD ${directory}`)) && (await session.isDirectory(directory))) left.push(name);
    } else if (!(await session.trySend(`DELE ${name}`)) && (await session.size(name)) !== null) left.push(name);
  }
  // Some servers store a file under a name of their own until it is complete, and leave that file behind when they crash.
  for (const key of new Set(temporaryNames.flatMap((name) => ATTEMPT_NAME.exec(name)?.[1] ?? []))) {
    for (const name of (await session.names(`.*${key}*`)) ?? []) {
      if (!name.includes(key) || left.includes(name)) continue;
      if (!(await session.trySend(`DELE ${name}`))) left.push(name);
    }
  }
  return left;
}

/** The last rename in each directory of a server. */
const renames = new Map<string, Promise<void>>();

/** Runs the renames in one directory one after another, so that two deliveries do not choose the same name. */
async function serialize(directory: string, work: () => Promise<void>): Promise<void> {
  const before = renames.get(directory) ?? Promise.resolve();
  const run = before.catch(() => {}).then(work);
  renames.set(directory, run);
  try {
    await run;
  } finally {
    if (renames.get(directory) === run) renames.delete(directory);
  }
}

/** The bytes of a file, in pieces of 256 KiB. */
export async function* bytesOf({ size, read }: Content, onProgress: () => void = () => {}): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < size; ) {
    const buffer = new Uint8Array(Math.min(READ_BYTES, size - position));
    const count = await read(buffer, position);
    if (count === 0) throw new Error('the stored file is shorter than expected');
    position += count;
    onProgress();
    yield buffer.subarray(0, count);
  }
}
