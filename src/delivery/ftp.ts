/**
 * One finished file onto an FTP or FTPS server: under a temporary name, renamed once it is whole.
 *
 * What a try leaves there when it breaks off is kept before it is made, so that a later connection can remove it, whichever side crashed.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { FTPError } from 'basic-ftp';
import { giveName } from './ftp-names.ts';
import { type FtpAccess, type FtpSession, withFtp } from './ftp-session.ts';

const READ_BYTES = 256 * 1024;
/** Between the beginning and the end of the data connection of an empty file, from try to try. */
const EMPTY_PAUSES_MS = [100, 1_000, 5_000];

/** What a delivery has done on a server so far, as it was kept before it was done. */
export interface FtpTrace {
  /** The name that the file was about to get; the reply may have been lost. */
  remoteName: string | null;
  /** Temporary names that may be there, those of folders with a slash at their end. */
  litter: readonly string[];
}

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
  keep(trace: FtpTrace, durable?: boolean): Promise<void>;
  /** Called whenever some of its bytes were taken. */
  moved(): void;
}

/** Puts a file. Rejects with what the server or the connection said. */
export async function putByFtp(access: FtpAccess, file: FtpFile, signal: AbortSignal): Promise<void> {
  await withFtp(access, signal, true, (session) => put(session, access, file));
}

/**
 * Removes what tries left on a server.
 * @returns what it refused to remove
 */
export async function removeLitter(
  access: FtpAccess,
  litter: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  return (await withFtp(access, signal, false, (session) => clean(session, litter))) ?? [];
}

async function put(session: FtpSession, { target }: FtpAccess, file: FtpFile): Promise<void> {
  let { trace } = file;
  const keep = async (next: FtpTrace): Promise<void> => {
    await file.keep(next);
    trace = next;
  };
  const done = await isDone(session, file);
  // Before they are removed: their absence says that the file was renamed.
  if (!done && trace.remoteName !== null) await keep({ ...trace, remoteName: null });
  if (trace.litter.length > 0) await keep({ ...trace, litter: await clean(session, trace.litter) });
  if (done) return;
  // Another name for each try: a session of the server that is still there from the last one may go on writing.
  const temporary = `.${file.id}-${randomBytes(4).toString('hex')}.part`;
  await keep({ ...trace, litter: [...trace.litter, temporary] });
  try {
    await send(session, file, temporary);
  } catch (error) {
    // At once, while the connection is there: on a full disk, what was sent of this file keeps others from being written.
    if (!session.client.closed) await keep({ ...trace, litter: await clean(session, trace.litter) });
    throw error;
  }
  const stored = (await session.size(temporary)) ?? null;
  if (stored !== null && stored !== file.size) throw new Error(`the server has ${stored} of ${file.size} bytes`);
  await oneAtATime(`${target.host}:${target.port}/${target.directory}`, async () => {
    const naming = { ...file, targetId: target.id, temporary, sized: stored !== null };
    const old = trace.litter.filter((name) => name !== temporary);
    const left = await giveName(session, {
      ...naming,
      keep: (next) => keep({ ...next, litter: [...old, ...next.litter] }),
    });
    // It is stored with the word that it was delivered.
    await file.keep({ ...trace, litter: [...old, ...left] }, false);
  });
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
  yield* bytesOf(file, file.moved);
}

/** True when an earlier try gave the file its name and only the reply was lost: then nothing is left under the other one. */
async function isDone(session: FtpSession, { trace: { remoteName, litter }, size }: FtpFile): Promise<boolean> {
  if (remoteName === null || (await session.size(remoteName)) !== size) return false;
  for (const name of litter) if (!name.endsWith('/') && (await session.size(name)) !== null) return false;
  return true;
}

/** @returns what is still there */
async function clean(session: FtpSession, litter: readonly string[]): Promise<string[]> {
  const left: string[] = [];
  for (const name of litter) {
    if (name.endsWith('/')) {
      const folder = name.slice(0, -1);
      if (!(await session.allows(`RMD ${folder}`)) && (await session.isFolder(folder))) left.push(name);
    } else if (!(await session.allows(`DELE ${name}`)) && (await session.size(name)) !== null) left.push(name);
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
