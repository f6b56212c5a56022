/**
 * Documents that are the same for all clients: pages, their files, the OpenAPI document. Each is built and compressed once and kept in
 * memory, so that a request needs neither a descriptor nor a copy (RFC 9110 §8.8.3 for entity tags, §12.5.3 for codings).
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { checkPreconditions } from '../../protocol/http/conditionals.ts';
import { acceptedCoding } from '../request/accept.ts';
import { varyBy } from '../request/cors.ts';
import { SLICE_BYTES, sliced } from './slices.ts';

const compress = promisify(gzip);

/** A document in memory. */
export interface FixedDocument {
  /** Value of Content-Type. */
  type: string;
  /** Truncated SHA-256 of `plain`, for entity tags. */
  hash: string;
  plain: Buffer;
  /** Compressed bytes by content coding, the best coding first. */
  coded: ReadonlyMap<string, Buffer>;
}

/** A document from bytes. @param coded compressed bytes by content coding, the best coding first */
export function fixedDocument(type: string, plain: Buffer, coded: ReadonlyMap<string, Buffer>): FixedDocument {
  return { type, plain, coded, hash: createHash('sha256').update(plain).digest('base64url').slice(0, 22) };
}

/** A document that is compressed with gzip. */
export async function compressedDocument(type: string, plain: Buffer): Promise<FixedDocument> {
  return fixedDocument(type, plain, new Map([['gzip', await compress(plain, { level: 9 })]]));
}

/** Returns a function that calls `make` at its first call and then returns the same promise. A failure is not cached. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = null;
      throw error;
    });
    return made;
  };
}

/** A cache of documents with variants, for example one per host. It keeps the newest variants. */
export class FixedDocuments {
  readonly #made = new Map<string, Promise<FixedDocument>>();
  readonly #maxVariants: number;

  constructor(maxVariants = 16) {
    this.#maxVariants = maxVariants;
  }

  /** The document of a variant; calls `make` if it is not in the cache. @param key identifies the variant */
  json(key: string, make: () => object): Promise<FixedDocument> {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = compressedDocument('application/json; charset=utf-8', Buffer.from(JSON.stringify(make())));
    this.#made.set(key, made);
    const [oldest] = this.#made.keys();
    if (this.#made.size > this.#maxVariants && oldest !== undefined) this.#made.delete(oldest);
    return made;
  }
}

/** Answers a GET or HEAD with a document, or with 304 if the client has it. @param fields additional header fields of the reply */
export function sendFixed(
  request: FastifyRequest,
  reply: FastifyReply,
  document: FixedDocument,
  fields: Record<string, string> = {},
): FastifyReply {
  const coding = acceptedCoding(request.headers['accept-encoding'], [...document.coded.keys()]);
  const bytes = (coding === null ? null : document.coded.get(coding)) ?? document.plain;
  // A strong tag names the bytes as they are sent.
  const etag = coding === null ? `"${document.hash}"` : `"${document.hash}-${coding}"`;
  reply.headers({ 'cache-control': 'no-cache', ...fields, etag });
  varyBy(reply, 'accept-encoding');
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers;
  const conditions = {
    ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
  };
  const verdict = checkPreconditions(request.method, conditions, { etag, lastModified: null, exists: true });
  if (verdict === 'not_modified') return reply.code(304).send();
  if (verdict === 'failed') throw new LadingError('precondition_failed', 'The document does not match If-Match.');
  reply.headers({ 'content-type': document.type, 'content-length': bytes.length });
  if (coding !== null) reply.header('content-encoding', coding);
  return reply.send(bytes.length > SLICE_BYTES ? sliced(bytes) : bytes);
}
