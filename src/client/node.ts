/** The client library for Node: a faster transport and CRC-32, and transfers of local files. */
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import * as zlib from 'node:zlib';
import type { Crc32 } from './calls/options.ts';
import { LadingClient, type LadingClientOptions } from './client.ts';
import { FileSink } from './files/file-sink.ts';
import { fileSource } from './files/file-source.ts';
import { resolveLinks } from './files/links.ts';
import type { DownloadOptions, DownloadResult } from './transfer/download.ts';
import type { UploadOptions, UploadResult } from './transfer/upload.ts';
import { type UndiciOptions, undiciTransport } from './transport/undici.ts';

/** Creates a client with keep-alive connections of undici. Call `close` when done: open connections keep the process alive. */
export function connect(options: LadingClientOptions & UndiciOptions): LadingClient {
  return new LadingClient({ transport: undiciTransport(options), crc32: fastCrc32(), ...options });
}

/**
 * Uploads a local file, or resumes its upload. The default name is the last component of the path. Throws the errors of
 * `LadingClient.upload`, and a system error when the file cannot be read.
 */
export async function uploadFile(
  client: LadingClient,
  path: string,
  options: Partial<UploadOptions> = {},
): Promise<UploadResult> {
  const source = await fileSource(path);
  try {
    return await client.upload(source, { ...options, name: options.name ?? basename(path) });
  } finally {
    await source.close();
  }
}

/**
 * Downloads a file to a path, or resumes its download. When the file is complete and verified, it replaces the one at `path` and keeps
 * the mode of that file. Until then the bytes are in `PATH.lading-part` and the state in `PATH.lading-part.json`. If `path` is a symbolic
 * link, its target is replaced.
 */
export async function downloadFile(
  client: LadingClient,
  name: string,
  path: string,
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  return client.downloadTo(name, new FileSink(await resolveLinks(path), client.crc32), options);
}

/** The fastest available CRC-32: the optional native package, else zlib. */
export function fastCrc32(): Crc32 {
  try {
    const native: unknown = createRequire(import.meta.url)('@node-rs/crc32');
    if (isNative(native)) return (bytes, seed = 0) => native.crc32(bytes, seed);
  } catch {
    // Not installed, or not available for this platform.
  }
  return (bytes, seed = 0) => zlib.crc32(bytes, seed);
}

function isNative(value: unknown): value is { crc32(bytes: Uint8Array, seed: number): number } {
  return typeof value === 'object' && value !== null && 'crc32' in value && typeof value.crc32 === 'function';
}
