/** Documents of share links and grants, as they are stored. */
import type { Creator, Subject } from './principal.ts';

/** A link that opens one file without an account. */
export interface ShareDocument {
  id: string;
  /** Tenant of the owner. */
  tenant: string;
  /** Owner key, as in the engine. */
  owner: string;
  /** Id of the file that the link was made for. */
  fileId: string;
  name: string;
  size: number;
  maker: Creator;
  /** SHA-256 of the token, in hex. */
  hash: string;
  /** Null: the link alone is enough. */
  passwordHash: string | null;
  createdAt: number;
  /** On the time line (`Clock.steady`). */
  expiresAt: number;
  lastUsed: number | null;
  /** Null: any number. */
  maxDownloads: number | null;
  /** How many times the whole file was sent, in one reply or in several. */
  downloads: number;
  /** Downloads in progress. */
  held: number;
  /** Bytes of partial and aborted replies that do not add up to a download. */
  lost: number;
  /** Bytes of partial replies in progress. */
  promised: number;
  /** By network (`by`): the ranges sent so far of an incomplete download, both ends inclusive. The most recent network is last. */
  takers: { by: string; runs: [number, number][] }[];
}

/** What a grant covers: one file of an owner, or all files whose names start with a prefix. */
export type GrantTarget =
  | { kind: 'prefix'; name: string }
  /** `fileId`: the file that currently has the name. */
  | { kind: 'file'; name: string; fileId: string };

/** Permission for another principal of the same tenant to read files. */
export interface GrantDocument {
  id: string;
  tenant: string;
  /** Owner key, as in the engine. */
  owner: string;
  target: GrantTarget;
  grantee: Subject;
  maker: Creator;
  createdAt: number;
  /** On the time line (`Clock.steady`); null: until it is revoked. */
  expiresAt: number | null;
}
