/** Uploads with a URL of their own: what clients declare, their state, and the request that is sending to one. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { LadingError } from '../../errors.ts';
import type { Digest, HashAlgorithm } from '../../protocol/http/digests.ts';
import type { FileDocument, ResourceDocument } from '../../records/file.ts';
import type { Subject } from '../../records/principal.ts';
import type { BodyBuffer } from '../body/body-buffer.ts';
import type { Precondition } from '../uploads/preconditions.ts';

/** Maximum time to drain the bytes of an older request when a newer one takes over. */
const LAST_READ_MS = 25;

/** What the URL of an upload contains: its id, and a secret that only its client knows. */
export interface ResourceAddress {
  id: string;
  secret: string;
}

/** What a client declares when it creates an upload. Sizes in bytes. */
export interface ResourceIntent {
  owner: string;
  creator: Subject;
  /** Name of the file; a partial upload gets an internal name instead. */
  name: string;
  /**
   * If the name is taken: `rename` adds a number, `refuse` fails, `replace` replaces the complete file or an idle unfinished upload.
   */
  ifTaken: 'rename' | 'refuse' | 'replace';
  /** Null: declared later. */
  size: number | null;
  contentType: string | null;
  metadata: string | null;
  /** Digest of the whole file. */
  reprDigest?: Digest | null;
  /** The upload is complete only once an append declares its end. */
  needsExplicitEnd?: boolean;
  /** A part of concatenated files. */
  partial?: boolean;
  /** Concatenates these partial uploads. `size` is null then. */
  concatenation?: Concatenated;
  /** Condition on the file that has the name when the upload begins. */
  precondition?: Precondition | undefined;
}

export interface Concatenated {
  /** In the order of their bytes. */
  parts: ResourceAddress[];
  /** The value of `Upload-Concat`. */
  concatHeader: string;
}

/** The expected digest of bytes. */
export interface Proof {
  algorithm: HashAlgorithm | 'crc32';
  value: Uint8Array;
  /** The header field of the digest, for the error. */
  header?: string;
}

export interface AppendIntent {
  offset: number;
  /** Size of the whole file, if this request declares it. */
  size: number | null;
  /** Bytes of this request, if it declares them. */
  contentLength: number | null;
  /** False once the sender's authorization was revoked. The remaining bytes are then not awaited, and uncommitted ones are dropped. */
  isAuthorized?: () => boolean;
  /**
   * The expected digest of this request's bytes. If it does not match, or if the body breaks, no byte is kept. Called at the end of the
   * body, because the digest may be in a trailer. If it throws, the bytes are refused with that error.
   */
  proof?: (() => Proof | null) | undefined;
  /** Condition on the file that has the upload's name. */
  precondition?: Precondition | undefined;
  /** The file ends with the last byte of this request. */
  ends?: boolean;
  /** With `ends`: the digest of the whole file from a trailer; called at the end of the body. */
  reprDigest?: (() => Digest | null) | undefined;
  /** Called after every commit while more bytes arrive. */
  onProgress?(offset: number): void;
}

/** The state of an upload. */
export interface ResourceState {
  owner: string;
  name: string;
  /** The next byte that the upload needs; the size once complete. */
  offset: number;
  /** Null: not declared yet. */
  size: number | null;
  complete: boolean;
  metadata: string | null;
  creator: Subject;
  /** When it will be removed unless it receives more bytes; null once it is complete. */
  expiresAt: number | null;
  /** `concatenation`: until it is done, `offset` means nothing. */
  kind: 'plain' | 'partial' | 'concatenation';
  /** For a concatenation: the value of `Upload-Concat`. */
  concatHeader: string | null;
  /** The upload is complete only once an append declares its end, and none has yet. */
  needsExplicitEnd: boolean;
}

/** The request that sends to an upload now. A newer request can end it. */
export class ActiveRequest {
  readonly finished: Promise<void>;
  #ended: LadingError | null = null;
  #buffer: BodyBuffer | null = null;
  #finish = (): void => {};

  constructor() {
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  attach(buffer: BodyBuffer): void {
    this.#buffer = buffer;
    if (this.#ended) buffer.truncateWhenIdle(this.#ended, LAST_READ_MS);
  }

  end(why: LadingError): void {
    this.#ended ??= why;
    this.#buffer?.truncateWhenIdle(why, LAST_READ_MS);
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
  return new LadingError('not_found', 'This upload does not exist or has ended.');
}

/** The part of an upload's document that describes its address. */
export function resourceDocument(intent: ResourceIntent, secret: string, parts: FileDocument[]): ResourceDocument {
  const { creator, metadata, needsExplicitEnd, partial, concatenation } = intent;
  return {
    keyHash: hashOf(secret),
    creator,
    metadata,
    ...(needsExplicitEnd ? { endsWhenTold: true as const } : {}),
    ...(partial ? { partial } : {}),
    ...(concatenation ? { final: { parts: parts.map(({ id }) => id), said: concatenation.concatHeader } } : {}),
  };
}
