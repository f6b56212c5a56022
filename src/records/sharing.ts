/** Documents of share links and grants, as they are stored. */
import type { Creator, Subject } from './principal.ts';

/** A link by which anybody reads one file. Times in milliseconds since the epoch, the rest in bytes of the file. */
export interface ShareDocument {
  id: string;
  /** Of the owner. */
  tenant: string;
  /** As the engine knows it. */
  owner: string;
  /** Of the file as it was when the link was made. */
  fileId: string;
  name: string;
  size: number;
  maker: Creator;
  /** SHA-256 of the token, in hex. */
  hash: string;
  /** Null: whoever has the link may read. */
  passwordHash: string | null;
  createdAt: number;
  /** On the time line (`Clock.steady`). */
  expiresAt: number;
  lastUsed: number | null;
  /** Null: any number. */
  maxDownloads: number | null;
  /** How often the whole file was sent, at once or in parts. */
  downloads: number;
  /** Downloads that answers are being sent for. */
  held: number;
  /** Bytes of parts and of answers that broke off, and forgiven. */
  lost: number;
  /** Bytes that parts are being sent of. */
  promised: number;
  /** By network, what was sent of the file and is not all of it: first and last bytes. The one that came last is the last. */
  takers: { by: string; runs: [number, number][] }[];
}

/** One file of an owner, or all whose names begin with something. */
export type GrantTarget =
  | { kind: 'prefix'; name: string }
  /** `fileId`: the file that has the name now. */
  | { kind: 'file'; name: string; fileId: string };

/** Somebody may read what is another's in the same tenant. Times in milliseconds since the epoch. */
export interface GrantDocument {
  id: string;
  tenant: string;
  /** As the engine knows it. */
  owner: string;
  target: GrantTarget;
  grantee: Subject;
  maker: Creator;
  createdAt: number;
  /** On the time line (`Clock.steady`); null: until it is revoked. */
  expiresAt: number | null;
}
