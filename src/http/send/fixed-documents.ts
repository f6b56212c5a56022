/**
 * Answers that are the same for everybody: pages, their files, the OpenAPI document. Each is made and compressed once and kept in memory,
 * so that a request for one costs neither a descriptor nor a copy (RFC 9110 §8.8.3 for the tags, §12.5.3 for the codings).
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

export interface FixedDocument {
  /** Value of Content-Type. */
  type: string;
  /** SHA-256 of the plain bytes, shortened. */
  hash: string;
  plain: Buffer;
  /** By the name of the content coding, the best first. */
  coded: ReadonlyMap<string, Buffer>;
}

/** @param coded compressed beforehand, by the name of the coding, the best first */
export function fixedDocument(type: string, plain: Buffer, coded: ReadonlyMap<string, Buffer>): FixedDocument {
  return { type, plain, coded, hash: createHash('sha256').update(plain).digest('base64url').slice(0, 22) };
}

/** Compresses `plain` by gzip. */
export async function compressedDocument(type: string, plain: Buffer): Promise<FixedDocument> {
  return fixedDocument(type, plain, new Map([['gzip', await compress(plain, { level: 9 })]]));
}

/** Makes something when it is first asked for, once for all who ask; a failure is not kept. */
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

/** Documents that differ by few things, as by the host that was asked: each is made once, as long as it is one of the last few. */
export class FixedDocuments {
  readonly #made = new Map<string, Promise<FixedDocument>>();
  readonly #most: number;

  constructor(most = 16) {
    this.#most = most;
  }

  /** @param key of what it depends on */
  json(key: string, make: () => object): Promise<FixedDocument> {
    const known = this.#made.get(key);
    if (known !== undefined) return known;
    const made = compressedDocument('application/json; charset=utf-8', Buffer.from(JSON.stringify(make())));
    this.#made.set(key, made);
    const [oldest] = this.#made.keys();
    if (this.#made.size > this.#most && oldest !== undefined) this.#made.delete(oldest);
    return made;
  }
}

/** Answers a GET or HEAD: 304 to who has it already. @param fields of the reply besides those about its content */
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
  if (verdict === 'failed') throw new LadingError('precondition_failed', 'The document has another entity tag.');
  reply.headers({ 'content-type': document.type, 'content-length': bytes.length });
  if (coding !== null) reply.header('content-encoding', coding);
  return reply.send(bytes.length > SLICE_BYTES ? sliced(bytes) : bytes);
}
