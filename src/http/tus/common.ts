/** What every request and every answer of tus has in common. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Principal, Subject } from '../../contracts.ts';
import type { ResourceAddress, ResourceState } from '../../engine/resource.ts';
import { LadingError } from '../../errors.ts';
import { ownerKey } from '../../identity/policy.ts';
import { parseChecksum, TUS_TYPE, TUS_VERSION, type TusChecksum } from '../../protocol/tus.ts';
import { bearerToken, standing } from '../auth.ts';
import { originOf } from '../csrf.ts';
import type { RouteDeps } from '../deps.ts';
import { type ProblemReply, problemReply } from '../problems.ts';

/** Fields that a page of another site may send. */
const ALLOWED =
  'Authorization, Content-Type, Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Defer-Length, Upload-Concat, ' +
  'Upload-Checksum, X-HTTP-Method-Override, X-Request-ID, X-Requested-With';
/** …and read. */
const EXPOSED =
  'Location, Upload-Offset, Upload-Length, Upload-Metadata, Upload-Defer-Length, Upload-Expires, Upload-Concat, Tus-Resumable, ' +
  'Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy';

/** Of every answer, refusals included. Cookies count for nothing here, so any site's page may ask. */
export function commonFields(reply: FastifyReply): void {
  // "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
  reply.header('tus-resumable', TUS_VERSION).header('access-control-allow-origin', '*');
  reply.header('access-control-expose-headers', EXPOSED);
}

/** The answer to a browser that asks whether it may (CORS preflight). */
export function preflightFields(reply: FastifyReply): void {
  reply.header('access-control-allow-methods', 'POST, HEAD, PATCH, DELETE, OPTIONS');
  reply.header('access-control-allow-headers', ALLOWED).header('access-control-max-age', '86400');
}

/** @throws LadingError `precondition_failed` */
export function checkVersion(request: FastifyRequest): void {
  // "If the version specified by the Client is not supported by the Server, it MUST respond with the 412 … the Server MUST NOT
  // process the request."
  if (request.headers['tus-resumable'] === TUS_VERSION) return;
  throw new LadingError('precondition_failed', `Send Tus-Resumable: ${TUS_VERSION}.`);
}

/**
 * Refusals with the statuses that clients of tus understand: most of them start an upload over after a 4xx that they do not know, and
 * go on after a 5xx.
 */
export function tusRefusal(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const reply = problemReply(error, requestId, credentials);
  const { code } = error;
  // "…it MUST include the Tus-Version header into the response."
  if (code === 'precondition_failed') reply.headers['tus-version'] = TUS_VERSION;
  if (code === 'out_of_bounds') return withStatus(reply, 413);
  if (code === 'size_conflict') return withStatus(reply, 400);
  if (code === 'request_timeout') return withStatus(reply, 503);
  // "The Server MUST respond with … 460 Checksum Mismatch if the checksums mismatch."
  if (code === 'checksum_mismatch') return withStatus(reply, 460);
  return reply;
}

/**
 * Refusals of HEAD. The most common client takes every status but 423 for "this upload is gone" and begins it anew from nothing, 503
 * too; after 423 it asks again. So whoever comes while the server starts, stops or has too much to do finds the upload locked.
 */
export function offsetRefusal(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const reply = tusRefusal(error, requestId, credentials);
  return reply.status >= 500 || reply.status === 429 ? withStatus(reply, 423) : reply;
}

function withStatus(reply: ProblemReply, status: number): ProblemReply {
  const document: object = JSON.parse(reply.body.toString('utf8'));
  const body = Buffer.from(JSON.stringify({ ...document, status }));
  return { status, headers: { ...reply.headers, 'content-length': String(body.length) }, body };
}

/** @throws LadingError `not_found` for what is no address of an upload */
export function addressOf(text: string): ResourceAddress {
  const [, id = '', secret = ''] = /^([0-9a-f]{32})\.([\w-]{32})$/.exec(text) ?? [];
  if (id === '') throw new LadingError('not_found', 'There is no such upload, or it has ended.');
  return { id, secret };
}

/** Where an upload is found: behind a trusted proxy as that one says, or without any host. */
export function locationOf({ config }: RouteDeps, request: FastifyRequest, { id, secret }: ResourceAddress): string {
  const path = `/files/${id}.${secret}`;
  if (config.uploadAbsolute === 'off') return path;
  return `${config.publicUrl ?? originOf(request) ?? ''}${path}`;
}

export function creatorOf({ identity }: RouteDeps, { id, kind }: Principal): Subject {
  if (kind !== 'token') return { id, kind };
  return { id, kind: identity.subject('device', id) ? 'device' : 'person' };
}

/** Requests that were let in by the address alone. */
const byAddress = new WeakSet<FastifyRequest>();

/** Who asks by an address alone, where that is enough; null otherwise. */
export async function principalOfAddress(deps: RouteDeps, request: FastifyRequest): Promise<Principal | null> {
  const { address } = request.params as { address?: string };
  if (deps.config.uploadRight === 'off' || address === undefined) return null;
  const { creator } = await deps.engine.resource(addressOf(address), true);
  byAddress.add(request);
  return deps.identity.subject(creator.kind, creator.id);
}

/** @throws LadingError `not_found` when the upload is somebody else's */
export async function ownUpload(deps: RouteDeps, request: FastifyRequest, address: ResourceAddress): Promise<void> {
  const { owner } = await deps.engine.resource(address, true);
  const { tenant, id } = request.principal;
  if (owner !== ownerKey(tenant, id)) throw new LadingError('not_found', 'There is no such upload, or it has ended.');
}

/** False once whoever sends may do so no longer. */
export function stillAllowed(deps: RouteDeps, request: FastifyRequest): () => boolean {
  if (!byAddress.has(request) && bearerToken(request.headers.authorization) !== null) return standing(deps, request);
  const { id, kind } = creatorOf(deps, request.principal);
  return () => deps.identity.subject(kind, id) !== null;
}

/**
 * What the bytes of a request must agree with: `Upload-Checksum`, in front of them or after them; undefined when nothing is said.
 * @throws LadingError `invalid_request`
 */
export function proofOf({ headers, raw }: FastifyRequest): (() => TusChecksum) | undefined {
  const said = headers['upload-checksum'];
  if (said !== undefined) {
    const checksum = parseChecksum(String(said));
    return () => checksum;
  }
  // "If the Trailer header announces Upload-Checksum … the trailer is treated as if it were sent in front."
  const announced = (headers.trailer ?? '').split(',').some((name) => name.trim().toLowerCase() === 'upload-checksum');
  return announced ? () => parseChecksum(raw.trailers['upload-checksum'] ?? '') : undefined;
}

/** @throws LadingError `unsupported_media_type` */
export function checkType(request: FastifyRequest): void {
  // "All PATCH requests MUST use Content-Type: application/offset+octet-stream, otherwise the server SHOULD return a 415."
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() === TUS_TYPE) return;
  throw new LadingError('unsupported_media_type', `The bytes of an upload are sent as ${TUS_TYPE}.`);
}

export function stateFields(reply: FastifyReply, { offset, expiresAt, kind, complete }: ResourceState): void {
  // "The Upload-Offset header MUST NOT be included … until the concatenation has been finished."
  if (kind !== 'join' || complete) reply.header('upload-offset', String(offset));
  // "The Server MUST include this header in every PATCH response if the upload is going to expire."
  if (expiresAt !== null) reply.header('upload-expires', new Date(expiresAt).toUTCString());
}

/** The connection that a newer request took the upload from: nobody reads its answer, and it must bring nothing more. */
export function endSuperseded(request: FastifyRequest, error: unknown): void {
  if (error instanceof LadingError && error.code === 'superseded') request.raw.destroy();
}
