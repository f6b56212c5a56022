/** The server as a device sees it in the crash tests. */
import type { FileStatus } from '../../src/protocol/schemas/files.ts';

export interface SendOptions {
  declaredSize: number | null;
  overwrite: boolean;
}

/** A request without an answer because the server died. It is unknown whether the request was carried out. */
export class Lost extends Error {
  override readonly name = 'Lost';
}

/** The requests of a device. A request that a dead server does not answer rejects with `Lost`. */
export interface Remote {
  send(name: string, start: number, bytes: Uint8Array, sending: SendOptions): Promise<FileStatus>;
  status(name: string): Promise<FileStatus>;
  complete(name: string): Promise<FileStatus>;
  /** Deletes the file and its open upload; false if neither exists. */
  remove(name: string): Promise<boolean>;
  /** Sends a whole file in one request, replacing an existing one. */
  put(name: string, bytes: Uint8Array): Promise<FileStatus>;
  /** Cancels the open upload but keeps the complete file; false if there is no open upload. */
  cancel(name: string): Promise<boolean>;
  /** Parks idle uploads, if the server is configured to do so. */
  sweep(): Promise<void>;
  /** Bytes `start` to `end` of the file as a download gets them; null if some are missing. */
  read(name: string, start: number, end: number): Promise<Buffer | null>;
}

export type Extents = [number, number][];

/** One complete file or one upload. Its seed determines its content. */
export interface Edition {
  seed: number;
  size: number;
  id: string | null;
}
