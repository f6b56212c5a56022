/** What the requests and answers of resumable uploads have in common. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ResourceState } from '../../engine/resource.ts';
import { LadingError } from '../../errors.ts';
import { parseDigestField, preferredDigest } from '../../protocol/digests.ts';
import {
  appendsInOwnType,
  completeField,
  completeOf,
  formatLimit,
  interopVersion,
  PARTIAL_TYPE,
} from '../../protocol/resumable.ts';
import type { RouteDeps } from '../deps.ts';
import { amended, type ProblemReply, problemReply } from '../problems.ts';
import { digestFields } from '../representation.ts';
import { inform } from './inform.ts';

/** Where the registered problem types are. */
const TYPES = 'https://iana.org/assignments/http-problem-types';

/** The folder of the addresses. */
export const UPLOADS = '/api/uploads/';

/** Fields that a page of another site may send. */
const ALLOWED =
  'Authorization, Content-Type, Content-Disposition, Upload-Complete, Upload-Offset, Upload-Length, Upload-Draft-Interop-Version, ' +
  'Content-Digest, Repr-Digest, Want-Repr-Digest, If-Match, If-None-Match, X-Request-ID, X-Requested-With';
/** …and read. */
const EXPOSED =
  'Location, Upload-Offset, Upload-Complete, Upload-Length, Upload-Limit, Upload-Draft-Interop-Version, ETag, Repr-Digest, ' +
  'Accept-Patch, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy';

/** Of every answer, refusals included. An error is no answer of the file that is to be, so it says that the upload is not complete. */
export function commonFields(request: FastifyRequest, reply: FastifyReply): void {
  reply.header('access-control-allow-origin', '*').header('access-control-expose-headers', EXPOSED);
  const version = interopVersion(request.headers);
  if (version !== null) reply.header('upload-draft-interop-version', String(version));
  const speaks = completeOf(request.headers) !== null || (request.params as { address?: string }).address !== undefined;
  if (speaks) sayComplete(request, reply, false);
}

/** "Upload-Complete: ?1 … when the response is that of the targeted resource." */
export function sayComplete(request: FastifyRequest, reply: FastifyReply, complete: boolean): void {
  reply.header(...completeField(interopVersion(request.headers), complete));
}

/** The answer to a browser that asks whether it may (CORS preflight), and to anybody who asks what is possible. */
export function capabilities({ config }: RouteDeps, reply: FastifyReply, methods: string): FastifyReply {
  reply.header('access-control-allow-methods', methods).header('access-control-allow-headers', ALLOWED);
  reply.header('access-control-max-age', '86400').header('accept-patch', PARTIAL_TYPE);
  // "A server that supports … MUST include Upload-Limit in the response to OPTIONS."
  return reply.header('upload-limit', formatLimit(config.maxFileBytes, config.staleSeconds)).code(204).send();
}

/** How far an upload is, in the fields that every answer about one has. */
export function stateFields(deps: RouteDeps, reply: FastifyReply, state: ResourceState): void {
  const { offset, size, expiresAt } = state;
  reply.header('upload-offset', String(offset));
  if (size !== null) reply.header('upload-length', String(size));
  reply.header('upload-limit', limitOf(deps, expiresAt));
}

export function limitOf({ config, clock }: RouteDeps, expiresAt: number | null): string {
  return formatLimit(config.maxFileBytes, expiresAt === null ? null : (expiresAt - clock.now()) / 1000);
}

/** @throws LadingError `unsupported_media_type` */
export function checkType(request: FastifyRequest): void {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  if (!appendsInOwnType(interopVersion(request.headers)) || type.trim().toLowerCase() === PARTIAL_TYPE) return;
  throw new LadingError('unsupported_media_type', `More bytes of an upload are sent as ${PARTIAL_TYPE}.`);
}

/** Content codings would have to be kept beside the bytes. @throws LadingError `unsupported_media_type` */
export function checkCoding({ headers }: FastifyRequest): void {
  const coding = headers['content-encoding'];
  if (coding === undefined || coding.trim().toLowerCase() === 'identity') return;
  throw new LadingError('unsupported_media_type', 'Send the file as it is, without Content-Encoding.');
}

/** Bytes of this request's content, when it says so beforehand. */
export function contentLength({ headers }: FastifyRequest): number | null {
  const length = headers['content-length'];
  if (length !== undefined) return Number(length);
  return headers['transfer-encoding'] === undefined && headers[':method'] === undefined ? 0 : null;
}

/** `Content-Digest`: what the bytes of this request must agree with, or none of them counts; undefined when nothing is said. */
export function proofOf({ headers }: FastifyRequest) {
  const said = headers['content-digest'];
  const digest = said === undefined ? null : parseDigestField(String(said), 'Content-Digest');
  return digest ? () => digest : undefined;
}

/** For a client that named a version: progress while its request still comes in, not more often than once a second. */
export function progressOf(request: FastifyRequest, reply: FastifyReply): ((offset: number) => void) | undefined {
  const version = interopVersion(request.headers);
  if (version === null) return undefined;
  let last = performance.now();
  return (offset) => {
    if (performance.now() - last < 1000) return;
    last = performance.now();
    inform(reply, version, { 'upload-offset': String(offset) });
  };
}

/**
 * The answer of the file: the upload is complete.
 * @param status 201 for a file that was not there before
 */
export async function completed(
  deps: RouteDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { owner, name }: Pick<ResourceState, 'owner' | 'name'>,
  status: 200 | 201,
): Promise<FastifyReply> {
  const file = await deps.engine.status(owner, name);
  if (file.etag !== null) reply.header('etag', file.etag);
  if (preferredDigest(String(request.headers['want-repr-digest'] ?? '')) !== null) {
    const representation = await deps.engine.open(owner, name);
    try {
      reply.headers(await digestFields(representation, null, request.headers));
    } finally {
      representation.release();
    }
  }
  return reply.code(status).send(file);
}

/** Refusals in the problem types of the draft, and with what a client needs to go on. */
export function resumableRefusal(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const reply = problemReply(error, requestId, credentials);
  const { code, members } = error;
  if (code === 'offset_mismatch') {
    const { expected, actual } = members;
    return amended(reply, {
      headers: { 'upload-offset': String(expected) },
      members: { type: `${TYPES}#mismatching-upload-offset`, 'expected-offset': expected, 'provided-offset': actual },
    });
  }
  if (code === 'size_conflict' || code === 'out_of_bounds')
    return amended(reply, { status: 400, members: { type: `${TYPES}#inconsistent-upload-length` } });
  // A 4xx would end the upload; this side gave up waiting, and the client may go on.
  if (code === 'request_timeout') return amended(reply, { status: 503 });
  if (code === 'unsupported_media_type') return amended(reply, { headers: { 'accept-patch': PARTIAL_TYPE } });
  return reply;
}
