/** Functions that all requests of resumable uploads share. */
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

/** Sets the fields of every answer, including errors. They declare the upload incomplete until the file itself is the answer. */
export function commonFields(request: FastifyRequest, reply: FastifyReply): void {
  const version = interopVersion(request.headers);
  if (version !== null) reply.header('upload-draft-interop-version', String(version));
  const { address } = request.params as { address?: string };
  if (completeOf(request.headers) !== null || address !== undefined) setUploadComplete(request, reply, false);
}

/** Sets `Upload-Complete`: "?1 … when the response is that of the targeted resource." */
export function setUploadComplete(request: FastifyRequest, reply: FastifyReply, complete: boolean): void {
  reply.header(...completeField(interopVersion(request.headers), complete));
}

/** Answers OPTIONS: a CORS preflight, or a request for the capabilities. */
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

/** Sets the fields with the state of an upload. */
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

/** `Upload-Limit`. @param expiresAt date when the upload expires; null if it is complete or does not expire */
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
  throw new LadingError('unsupported_media_type', `Send the bytes of an upload with Content-Type: ${PARTIAL_TYPE}.`);
}

/** Declared length of this request's content; null if unknown. */
export function contentLength({ headers }: FastifyRequest): number | null {
  const length = headers['content-length'];
  if (length !== undefined) return Number(length);
  return headers['transfer-encoding'] === undefined && headers[':method'] === undefined ? 0 : null;
}

/**
 * A request without framing fields has no content (RFC 9112 §6.3). A client that sends one to store a file probably forgot the file, so an
 * empty file needs `Content-Length: 0`.
 * @throws LadingError `length_required`
 */
export function requireFraming({ headers, raw }: FastifyRequest): void {
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) return;
  const { stream } = raw as { stream?: { endAfterHeaders?: boolean } };
  if (stream?.endAfterHeaders === false) return;
  throw new LadingError(
    'length_required',
    'The request has no content, so nothing was stored. Send the file as the content (curl -T FILE). For an empty file, send Content-Length: 0.',
  );
}

/** Returns a function that reads `Content-Digest`, from the header or the trailer; undefined without the field. No byte of the request counts if it does not match. */
export function proofOf(request: FastifyRequest): (() => Proof | null) | undefined {
  const header = 'Content-Digest';
  const field = request.headers['content-digest'];
  const digest = field === undefined ? null : parseDigestField(String(field), header);
  if (digest) return () => ({ ...digest, header });
  const trailer = digestTrailer(request, header);
  return trailer && (() => proofFrom(trailer(), header));
}

function proofFrom(digest: Digest | null, header: string): Proof | null {
  return digest && { ...digest, header };
}

/** Returns a function that sends the offset in 104 responses, at most once per second; undefined if the client named no version. */
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
 * Answers with the status of the complete file.
 * @param status 201 for a new file, 200 for a replacement
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

/** Writes an error with the problem types of the draft and the fields that a client needs to continue. */
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
  // The client may continue, but would give up after a 4xx.
  if (code === 'request_timeout') return amended(reply, { status: 503 });
  if (code === 'unsupported_media_type') return amended(reply, { headers: { 'accept-patch': PARTIAL_TYPE } });
  return reply;
}

/** The problem type of draft-ietf-httpapi-digest-fields-problem-types; null if the error is not about a digest. */
function digestProblem({ code, members }: LadingError): string | null {
  if (members.header === undefined || !members.header.endsWith('-Digest')) return null;
  if (code === 'checksum_mismatch' || code === 'digest_mismatch') return 'digest-mismatched-values';
  return members.unsupported_algorithms ? 'digest-unsupported-algorithms' : 'digest-invalid-values';
}
