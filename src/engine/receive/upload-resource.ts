/** Uploads with an address of their own: what is said of one, how far it is, and the request that receives into it. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { LadingError } from '../../errors.ts';
import type { Digest, HashAlgorithm } from '../../protocol/http/digests.ts';
import type { FileDocument, ResourceDocument } from '../../records/file.ts';
import type { Subject } from '../../records/principal.ts';
import type { BodyBuffer } from '../body/body-buffer.ts';
import type { Precondition } from '../uploads/preconditions.ts';

/** How long what is on its way from an older request may still be read when a newer one takes over. */
const LAST_READ_MS = 25;

/** How an upload is found: by its id, and by a secret that nobody else can know. */
export interface ResourceAddress {
  id: string;
  secret: string;
}

/** What is said of an upload when it begins. Sizes in bytes. */
export interface ResourceIntent {
  owner: string;
  creator: Subject;
  /** The file's; a partial upload gets one of its own. */
  name: string;
  /**
   * If the name is taken: `beside` puts a number to it, `new` refuses, `instead` replaces the complete file, and an unfinished upload
   * that nobody sends to.
   */
  place: 'beside' | 'new' | 'instead';
  /** Null: told later. */
  size: number | null;
  contentType: string | null;
  metadata: string | null;
  /** Of the whole file. */
  reprDigest?: Digest | null;
  /** Complete only when an append says so. */
  endsWhenTold?: boolean;
  /** A piece of files to come. */
  partial?: boolean;
  /** Made of these partial uploads. `size` is null then. */
  join?: Concatenated;
  /** Of the file that has the name when the upload begins. */
  precondition?: Precondition | undefined;
}

export interface Concatenated {
  /** In the order of their bytes. */
  parts: ResourceAddress[];
  /** How the client named them. */
  said: string;
}

/** What bytes hash to. */
export interface Proof {
  algorithm: HashAlgorithm | 'crc32';
  value: Uint8Array;
  /** The field that said it, for whoever is told that it is wrong. */
  header?: string;
}

export interface AppendIntent {
  offset: number;
  /** Of the whole file, when this request says it. */
  size: number | null;
  /** Bytes of this request, when it says so beforehand. */
  contentLength: number | null;
  /** False once whoever sends may do so no longer: then what is still to come is not waited for, nor does what came since count. */
  isAuthorized?: () => boolean;
  /**
   * What the bytes of this request must hash to, or none of them counts, nor do those of a body that breaks. Asked at its end, for it may
   * come after the bytes; what it throws refuses them.
   */
  proof?: (() => Proof | null) | undefined;
  /** Of the file that has the upload's name. */
  precondition?: Precondition | undefined;
  /** The file ends with the last byte of this request. */
  ends?: boolean;
  /** Then: digest of the whole file, if it comes behind the bytes; asked for at their end. */
  reprDigest?: (() => Digest | null) | undefined;
  /** Told of every byte that counts while more still come. */
  onProgress?(offset: number): void;
}

/** How far an upload is. */
export interface ResourceState {
  owner: string;
  name: string;
  /** The next byte wanted; the size once complete. */
  offset: number;
  /** Null: not told yet. */
  size: number | null;
  complete: boolean;
  metadata: string | null;
  creator: Subject;
  /** When it is removed if nothing more comes; null once it is complete. */
  expiresAt: number | null;
  /** `join`: made of others; as long as they are not joined, `offset` says nothing. */
  kind: 'plain' | 'partial' | 'join';
  /** Of a join: how the client named its parts. */
  said: string | null;
  /** Unfinished: complete only when an append says so. */
  endsWhenTold: boolean;
}

/** A request that receives. */
export class ActiveRequest {
  readonly finished: Promise<void>;
  #ended: LadingError | null = null;
  #inbox: BodyBuffer | null = null;
  #finish = (): void => {};

  constructor() {
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  attach(inbox: BodyBuffer): void {
    this.#inbox = inbox;
    if (this.#ended) inbox.truncateWhenIdle(this.#ended, LAST_READ_MS);
  }

  end(why: LadingError): void {
    this.#ended ??= why;
    this.#inbox?.truncateWhenIdle(why, LAST_READ_MS);
  }

  finish(): void {
    this.#finish();
  }
}

export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

export function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

export function noSuchUpload(): LadingError {
  return new LadingError('not_found', 'There is no such upload, or it has ended.');
}

/** What the document of an upload says of its address. */
export function resourceDocument(intent: ResourceIntent, secret: string, parts: FileDocument[]): ResourceDocument {
  const { creator, metadata, endsWhenTold, partial, join } = intent;
  return {
    keyHash: hashOf(secret),
    creator,
    metadata,
    ...(endsWhenTold ? { endsWhenTold } : {}),
    ...(partial ? { partial } : {}),
    ...(join ? { final: { parts: parts.map(({ id }) => id), said: join.said } } : {}),
  };
}
