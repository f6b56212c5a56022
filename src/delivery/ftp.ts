/** One finished file onto an FTP or FTPS server: under a name for the time being, renamed once it is whole. */
import { Readable } from 'node:stream';
import { Client } from 'basic-ftp';
import type { FtpTargetDocument } from '../contracts.ts';

/** How long a server may do nothing. */
const IDLE_MS = 60_000;
const READ_BYTES = 256 * 1024;

export interface FtpFile {
  /** On the server. */
  name: string;
  /** Of the file here, for the name for the time being. */
  id: string;
  size: number;
  read(into: Uint8Array, position: number): Promise<number>;
}

/** Rejects with what the server or the connection said; a name for the time being may then be left there, and is used again. */
export async function putByFtp(
  target: FtpTargetDocument,
  password: string,
  file: FtpFile,
  signal: AbortSignal,
): Promise<void> {
  const client = new Client(IDLE_MS, { allowSeparateTransferHost: false });
  const give = (): void => client.close();
  signal.addEventListener('abort', give, { once: true });
  try {
    signal.throwIfAborted();
    await client.access({
      host: target.host,
      port: target.port,
      user: target.username,
      password,
      secure: target.kind === 'ftps',
      ...(target.ca === null ? {} : { secureOptions: { ca: target.ca, host: target.host } }),
    });
    if (target.directory !== '') await client.ensureDir(target.directory);
    const temporary = `.${file.id}.part`;
    await client.uploadFrom(Readable.from(bytesOf(file), { objectMode: false, highWaterMark: READ_BYTES }), temporary);
    const stored = await client.size(temporary).catch(() => file.size);
    if (stored !== file.size) throw new Error(`the server has ${stored} of ${file.size} bytes`);
    await client.rename(temporary, file.name);
  } finally {
    signal.removeEventListener('abort', give);
    client.close();
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
