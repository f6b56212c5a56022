/** What Node adds to the client: a faster transport and CRC-32, and files as source and target of transfers. */
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

/** A client over keep-alive connections of undici. Close it when it is done, or the process stays. */
export function connect(options: LadingClientOptions & UndiciOptions): LadingClient {
  return new LadingClient({ transport: undiciTransport(options), crc32: fastCrc32(), ...options });
}

/**
 * Uploads a local file, or what the server does not have of it yet; the name is by default the last part of the path. Throws what
 * `LadingClient.upload` throws, and the system's error when the file cannot be read.
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
 * Downloads a file to a path, or what is not there yet. The target appears when it is complete and checked, and replaces what was
 * there, with its mode; until then `PATH.lading-part` and `PATH.lading-part.json` lie beside it. A link stays: what it leads to is
 * replaced.
 */
export async function downloadFile(
  client: LadingClient,
  name: string,
  path: string,
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  return client.downloadTo(name, new FileSink(await resolveLinks(path), client.crc32), options);
}

/** The fastest CRC-32 there is: the optional native one, else zlib's. */
export function fastCrc32(): Crc32 {
  try {
    const native: unknown = createRequire(import.meta.url)('@node-rs/crc32');
    if (isNative(native)) return (bytes, seed = 0) => native.crc32(bytes, seed);
  } catch {
    // Not installed, or not for this machine.
  }
  return (bytes, seed = 0) => zlib.crc32(bytes, seed);
}

function isNative(value: unknown): value is { crc32(bytes: Uint8Array, seed: number): number } {
  return typeof value === 'object' && value !== null && 'crc32' in value && typeof value.crc32 === 'function';
}
