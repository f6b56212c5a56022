/** One finished file onto an FTP or FTPS server: under a name for the time being, renamed once it is whole. */
import { isIP } from 'node:net';
import { Readable } from 'node:stream';
import { Client, FTPError } from 'basic-ftp';
import type { FtpTargetDocument } from '../contracts.ts';

/** How long a server may do nothing. */
const IDLE_MS = 60_000;
const READ_BYTES = 256 * 1024;
/** Reply code of RFC 959 for a file that is not there. */
const NOT_THERE = 550;

export interface FtpFile {
  /** Names on the server: the first that is free is its own. */
  names: Iterable<string>;
  /** The name that an earlier try was about to give it; its reply may have been lost. */
  tried: string | null;
  /** Told of a name before the file gets it; durable when it resolves. */
  takes(name: string): Promise<void>;
  /** Of the file here, for the name for the time being. */
  id: string;
  size: number;
  read(into: Uint8Array, position: number): Promise<number>;
}

/**
 * Rejects with what the server or the connection said; a name for the time being may then be left there, and is used again. Data
 * connections go where the control connection went.
 * @param address where to connect to, instead of looking the target's host up
 */
export async function putByFtp(
  target: FtpTargetDocument,
  password: string,
  file: FtpFile,
  signal: AbortSignal,
  address: string | null = null,
): Promise<void> {
  const client = new Client(IDLE_MS, { allowSeparateTransferHost: false });
  const give = (): void => client.close();
  signal.addEventListener('abort', give, { once: true });
  try {
    signal.throwIfAborted();
    await client.access({
      host: address ?? target.host,
      port: target.port,
      user: target.username,
      password,
      secure: target.kind === 'ftps',
      secureOptions: {
        host: target.host,
        ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
        ...(target.ca === null ? {} : { ca: target.ca }),
      },
    });
    if (target.directory !== '') await client.ensureDir(target.directory);
    const temporary = `.${file.id}.part`;
    if (await isDone(client, temporary, file)) return;
    await client.uploadFrom(Readable.from(bytesOf(file), { objectMode: false, highWaterMark: READ_BYTES }), temporary);
    const stored = await client.size(temporary).catch(() => file.size);
    if (stored !== file.size) throw new Error(`the server has ${stored} of ${file.size} bytes`);
    await oneAtATime(`${target.host}:${target.port}/${target.directory}`, async () => {
      const name = await freeName(client, file.names);
      await file.takes(name);
      await client.rename(temporary, name);
    });
  } finally {
    signal.removeEventListener('abort', give);
    client.close();
  }
}

/** True when an earlier try gave the file its name and only the reply was lost: then nothing is left under the other one. */
async function isDone(client: Client, temporary: string, { tried, size }: FtpFile): Promise<boolean> {
  if (tried === null) return false;
  return (await sizeOf(client, tried)) === size && (await sizeOf(client, temporary)) === null;
}

/** What a server already has under a name is nobody's to overwrite. */
async function freeName(client: Client, names: Iterable<string>): Promise<string> {
  let listed: Set<string> | null = null;
  for (const name of names) {
    const size = await sizeOf(client, name);
    if (typeof size === 'number') continue;
    // Nothing of this name; a folder would refuse to be replaced.
    if (size === null) return name;
    listed ??= new Set((await client.list()).map((entry) => entry.name));
    if (!listed.has(name)) return name;
  }
  throw new Error('every name that the file could have there is taken');
}

/** Null when there is no file of this name; undefined when the server does not say. */
async function sizeOf(client: Client, name: string): Promise<number | null | undefined> {
  return await client.size(name).catch((error: unknown) => {
    if (client.closed || !(error instanceof FTPError)) throw error;
    return error.code === NOT_THERE ? null : undefined;
  });
}

/** Who looks for a free name and takes it, by folder of a server. */
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
export async function* bytesOf({ size, read }: Pick<FtpFile, 'size' | 'read'>): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < size; ) {
    const buffer = new Uint8Array(Math.min(READ_BYTES, size - position));
    const count = await read(buffer, position);
    if (count === 0) throw new Error('the file ended early');
    position += count;
    yield buffer.subarray(0, count);
  }
}
