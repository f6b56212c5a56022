/** The server as a device sees it in the crash tests. */
import type { FileStatus } from '../../src/protocol/schemas/files.ts';

export interface SendOptions {
  declaredSize: number | null;
  overwrite: boolean;
}

/** There was no answer: the server died, and nobody knows what it still did. */
export class Lost extends Error {
  override readonly name = 'Lost';
}

/** The server as a device sees it. What a dead server does not answer rejects with `Lost`. */
export interface Remote {
  send(name: string, start: number, bytes: Uint8Array, sending: SendOptions): Promise<FileStatus>;
  status(name: string): Promise<FileStatus>;
  complete(name: string): Promise<FileStatus>;
  /** False when there was nothing. */
  remove(name: string): Promise<boolean>;
  /** A whole file in one request, in place of what is there. */
  put(name: string, bytes: Uint8Array): Promise<FileStatus>;
  /** Ends the unfinished upload alone; false when there was none. */
  cancel(name: string): Promise<boolean>;
  /** Parks every upload that nobody sends to, if the server was set up to do so. */
  sweep(): Promise<void>;
  /** Bytes `start` to `end` of what a download of the name gives; null when they are not all in it. */
  read(name: string, start: number, end: number): Promise<Buffer | null>;
}

export type Extents = [number, number][];

/** One complete file, or one upload: its content follows from its seed. */
export interface Edition {
  seed: number;
  size: number;
  id: string | null;
}
