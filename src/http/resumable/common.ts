/** Helpers that all requests of resumable uploads share. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import type { Proof, ResourceState } from '../../engine/receive/upload-resource.ts';
import { LadingError } from '../../errors.ts';
import { type Digest, parseDigestField, preferredDigest } from '../../protocol/http/digests.ts';
import { isMediaType } from '../../protocol/http/media-types.ts';
import {
  appendsInOwnType,
  completeField,
  completeOf,
  formatLimit,
  interopVersion,
  PARTIAL_TYPE,
} from '../../protocol/http/resumable.ts';
import type { Config } from '../../settings/config.ts';
import { redactAddresses } from '../access/upload-capability.ts';
import { digestTrailer } from '../body/digest-trailers.ts';
import { amended, type ProblemReply, problemReply } from '../problems/problems.ts';
import { preflightFields } from '../request/cors.ts';
import type { PathRules } from '../request/path-rules.ts';
import { digestFields } from '../send/representation.ts';
import { inform } from './inform.ts';

/** What these functions need from the server. */
export interface ResumableDeps {
  config: Pick<Config, 'maxFileBytes'>;
  engine: Engine;
  clock: Clock;
}

/** Base URL of the registered problem types. */
const TYPES = 'https://iana.org/assignments/http-problem-types';

/** Path of the upload addresses. */
export const UPLOADS = '/api/uploads/';

/** Rules for the addresses of uploads. */
export const UPLOAD_PATHS: PathRules = {
  folder: UPLOADS,
  anyOrigin: /^\/api\/uploads(?:$|\/)/,
  redact: redactAddresses(UPLOADS),
  undecodable: () => new LadingError('not_found', 'There is no such upload.'),
};

/** Fields of every answer, including errors. An error does not answer for the file, so it declares the upload incomplete. */
export function commonFields(request: FastifyRequest, reply: FastifyReply): void {
  const version = interopVersion(request.headers);
  if (version !== null) reply.header('upload-draft-interop-version', String(version));
  const speaks = completeOf(request.headers) !== null || (request.params as { address?: string }).address !== undefined;
  if (speaks) setUploadComplete(request, reply, false);
}

/** "Upload-Complete: ?1 … when the response is that of the targeted resource." */
export function setUploadComplete(request: FastifyRequest, reply: FastifyReply, complete: boolean): void {
  reply.header(...completeField(interopVersion(request.headers), complete));
}

/** Answers OPTIONS: a CORS preflight, or a question for the capabilities. */
export function capabilities(
  deps: Pick<ResumableDeps, 'config' | 'engine'>,
  reply: FastifyReply,
  methods: string,
): FastifyReply {
  preflightFields(reply, methods);
  reply.header('accept-patch', PARTIAL_TYPE);
  // "A server that supports … MUST include Upload-Limit in the response to OPTIONS."
  return reply.header('upload-limit', firstLimitOf(deps)).code(204).send();
}

/** Fields with the state of an upload, which every answer about one has. */
export function stateFields(
  deps: Pick<ResumableDeps, 'config' | 'clock'>,
  reply: FastifyReply,
  state: ResourceState,
): void {
  const { offset, size, expiresAt } = state;
  reply.header('upload-offset', String(offset));
  if (size !== null) reply.header('upload-length', String(size));
  reply.header('upload-limit', limitOf(deps, expiresAt));
}

/** @param expiresAt date when the upload expires; null if it is complete or does not expire */
export function limitOf({ config, clock }: Pick<ResumableDeps, 'config' | 'clock'>, expiresAt: number | null): string {
  return formatLimit(config.maxFileBytes, secondsOf(expiresAt === null ? null : expiresAt - clock.now()));
}

/** `Upload-Limit` of a new upload. */
export function firstLimitOf({ config, engine }: Pick<ResumableDeps, 'config' | 'engine'>): string {
  return formatLimit(config.maxFileBytes, secondsOf(engine.lifetimeMs));
}

function secondsOf(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

/** @throws LadingError `unsupported_media_type` */
export function checkType(request: FastifyRequest): void {
  const { headers } = request;
  if (!appendsInOwnType(interopVersion(headers)) || isMediaType(headers['content-type'], PARTIAL_TYPE)) return;
  throw new LadingError('unsupported_media_type', `Send more bytes of an upload as ${PARTIAL_TYPE}.`);
}

/** Declared length of this request's content; null if unknown. */
export function contentLength({ headers }: FastifyRequest): number | null {
  const length = headers['content-length'];
  if (length !== undefined) return Number(length);
  return headers['transfer-encoding'] === undefined && headers[':method'] === undefined ? 0 : null;
}

/**
 * A request without framing fields has no content (RFC 9112 §6.3), but a client that sends one to store a file forgot the file: an empty
 * file needs `Content-Length: 0`.
 * @throws LadingError `length_required`
 */
export function wantFraming({ headers, raw }: FastifyRequest): void {
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return;
  const { stream } = raw as { stream?: { endAfterHeaders?: boolean } };
  if (stream?.endAfterHeaders === false) return;
  throw new LadingError(
    'length_required',
    'The request has no content, so nothing was stored. Send the file as the content (curl -T FILE), or for an empty file Content-Length: 0.',
  );
}

/** `Content-Digest`: the bytes of this request must match it, or none of them counts; undefined without the field. */
export function proofOf(request: FastifyRequest): (() => Proof | null) | undefined {
  const header = 'Content-Digest';
  const said = request.headers['content-digest'];
  const digest = said === undefined ? null : parseDigestField(String(said), header);
  if (digest) return () => ({ ...digest, header });
  const behind = digestTrailer(request, header);
  return behind && (() => proofFrom(behind(), header));
}

function proofFrom(digest: Digest | null, header: string): Proof | null {
  return digest && { ...digest, header };
}

/** Sends progress to a client that named a version while its request arrives, at most once per second. */
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
 * Answers that the upload is complete.
 * @param status 201 for a new file
 */
export async function completed(
  deps: Pick<ResumableDeps, 'engine'>,
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

/** Errors with the problem types of the draft and the fields that a client needs to continue. */
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
  const digests = digestProblem(error);
  if (digests !== null) return amended(reply, { status: 400, members: { type: `${TYPES}#${digests}` } });
  // A 4xx would end the upload; the server gave up waiting, and the client may continue.
  if (code === 'request_timeout') return amended(reply, { status: 503 });
  if (code === 'unsupported_media_type') return amended(reply, { headers: { 'accept-patch': PARTIAL_TYPE } });
  return reply;
}

/** The problem types of draft-ietf-httpapi-digest-fields-problem-types; null if the error is not about a digest. */
function digestProblem({ code, members }: LadingError): string | null {
  if (members.header === undefined || !members.header.endsWith('-Digest')) return null;
  if (code === 'checksum_mismatch' || code === 'digest_mismatch') return 'digest-mismatched-values';
  return members.unsupported_algorithms ? 'digest-unsupported-algorithms' : 'digest-invalid-values';
}
