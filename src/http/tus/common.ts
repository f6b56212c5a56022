/** Functions that all requests of tus share. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ResourceState } from '../../engine/receive/upload-resource.ts';
import { LadingError } from '../../errors.ts';
import { isMediaType } from '../../protocol/http/media-types.ts';
import { parseChecksum, TUS_TYPE, TUS_VERSION, type TusChecksum } from '../../protocol/http/tus.ts';
import { redactAddresses } from '../access/upload-capability.ts';
import { amended, type ProblemReply, problemReply } from '../problems/problems.ts';
import type { PathRules } from '../request/path-rules.ts';

/** Rules for all paths of tus. */
export const TUS_PATHS: PathRules = {
  folder: '/files/',
  anyOrigin: /^\/files(?:$|\/)/,
  redact: redactAddresses('/files/'),
  undecodable: () => new LadingError('not_found', 'There is no such upload.'),
};

/** Fields of every answer, including errors. */
export function commonFields(reply: FastifyReply): void {
  // "The Tus-Resumable header MUST be included in every request and response except for OPTIONS requests."
  reply.header('tus-resumable', TUS_VERSION);
}

/** @throws LadingError `precondition_failed` for another version, or none */
export function checkVersion(request: FastifyRequest): void {
  // "If the version specified by the Client is not supported by the Server, it MUST respond with the 412 … the Server MUST NOT
  // process the request."
  if (request.headers['tus-resumable'] === TUS_VERSION) return;
  throw new LadingError('precondition_failed', `Send Tus-Resumable: ${TUS_VERSION}.`);
}

/**
 * Writes an error with the status that tus clients understand. Most clients restart an upload after an unknown 4xx, and continue after a
 * 5xx.
 */
export function tusRefusal(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const reply = problemReply(error, requestId, credentials);
  const { code } = error;
  // "…it MUST include the Tus-Version header into the response."
  if (code === 'precondition_failed') reply.headers['tus-version'] = TUS_VERSION;
  if (code === 'out_of_bounds') return amended(reply, { status: 413 });
  if (code === 'size_conflict') return amended(reply, { status: 400 });
  if (code === 'request_timeout') return amended(reply, { status: 503 });
  // "The Server MUST respond with … 460 Checksum Mismatch if the checksums mismatch."
  if (code === 'checksum_mismatch') return amended(reply, { status: 460 });
  return reply;
}

/**
 * Writes an error of HEAD. The most common client takes every status except 423 to mean that the upload does not exist, and starts it
 * again, even after 503. After 423 it repeats the request. So uploads look locked while the server starts, stops or is overloaded.
 */
export function offsetRefusal(error: LadingError, requestId: string | null, credentials: boolean): ProblemReply {
  const reply = tusRefusal(error, requestId, credentials);
  return reply.status >= 500 || reply.status === 429 ? amended(reply, { status: 423 }) : reply;
}

/**
 * Returns a function that reads `Upload-Checksum`, a header or trailer field, at the end of the body; undefined if the request has none.
 * @throws LadingError `invalid_request`
 */
export function proofOf({ headers, raw }: FastifyRequest): (() => TusChecksum) | undefined {
  const field = headers['upload-checksum'];
  if (field !== undefined) {
    const checksum = parseChecksum(String(field));
    return () => checksum;
  }
  // "If the Trailer header announces Upload-Checksum … the trailer is treated as if it were sent in front."
  const announced = (headers.trailer ?? '').split(',').some((name) => name.trim().toLowerCase() === 'upload-checksum');
  return announced ? () => parseChecksum(raw.trailers['upload-checksum'] ?? '') : undefined;
}

/** @throws LadingError `unsupported_media_type` */
export function checkType(request: FastifyRequest): void {
  // "All PATCH requests MUST use Content-Type: application/offset+octet-stream, otherwise the server SHOULD return a 415."
  if (isMediaType(request.headers['content-type'], TUS_TYPE)) return;
  throw new LadingError('unsupported_media_type', `Send the bytes of an upload with Content-Type: ${TUS_TYPE}.`);
}

/** Sets the fields with the state of an upload. */
export function stateFields(reply: FastifyReply, { offset, expiresAt, kind, complete }: ResourceState): void {
  // "The Upload-Offset header MUST NOT be included … until the concatenation has been finished."
  if (kind !== 'concatenation' || complete) reply.header('upload-offset', String(offset));
  // "The Server MUST include this header in every PATCH response if the upload is going to expire."
  if (expiresAt !== null) reply.header('upload-expires', new Date(expiresAt).toUTCString());
}
