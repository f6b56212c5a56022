/**
 * PUT and POST: store the content of a file.
 *
 *     without Upload-Complete    one request that stores the whole file, or nothing
 *     with Upload-Complete       an upload with an address, which the 104 and the answer contain; bytes count as they arrive
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import type { FileIntent } from '../../engine/receive/file-upload.ts';
import type { ResourceAddress, ResourceIntent } from '../../engine/receive/upload-resource.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { ownerOf } from '../../identity/rights/policy.ts';
import { parseDigestField } from '../../protocol/http/digests.ts';
import { checkContentType } from '../../protocol/http/media-types.ts';
import { completeOf, interopVersion, lengthOf } from '../../protocol/http/resumable.ts';
import type { Config } from '../../settings/config.ts';
import { creatorOf, endSuperseded, locationOf, uploadAuthorization } from '../access/upload-capability.ts';
import { digestTrailer, digestTrailers } from '../body/digest-trailers.ts';
import { requestBody } from '../problems/early-refusal.ts';
import { preconditionOf } from '../request/preconditions.ts';
import {
  completed,
  contentLength,
  firstLimitOf,
  limitOf,
  progressOf,
  proofOf,
  requireFraming,
  setUploadComplete,
  stateFields,
  UPLOADS,
} from './common.ts';
import { inform } from './inform.ts';

/** What this request needs from the server. */
export interface BeginDeps {
  config: Pick<Config, 'maxFileBytes' | 'uploadAbsolute' | 'uploadRight'>;
  engine: Engine;
  identity: Identity;
  clock: Clock;
  access: Access;
}

/** Errors after which the upload can continue. */
const RESUMABLE_ERRORS = new Set(['length_mismatch', 'request_timeout', 'superseded']);

/** Where the content is stored. */
export interface Destination {
  name: string;
  ifTaken: ResourceIntent['ifTaken'];
}

/** Answers a PUT or POST with 200 or 201. */
export async function begin(
  deps: BeginDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  destination: Destination,
): Promise<FastifyReply> {
  const complete = completeOf(request.headers);
  if (complete !== false) requireFraming(request);
  const before = await deps.engine.status(ownerOf(request.principal), destination.name);
  const created = destination.ifTaken === 'replace' && before.readable ? 200 : 201;
  if (complete === null) return await storeWhole(deps, request, reply, destination, created);
  return await resumable(deps, request, reply, destination, complete, created);
}

async function storeWhole(
  deps: BeginDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  { name, ifTaken }: Destination,
  created: 200 | 201,
): Promise<FastifyReply> {
  const { engine } = deps;
  const owner = ownerOf(request.principal);
  const intent: FileIntent = {
    owner,
    name,
    overwrite: ifTaken === 'replace',
    nameIfTaken: ifTaken === 'rename' ? (same: string) => same : undefined,
    contentType: typeOf(request),
    // The content of this request is the whole file, so either digest is the digest of the file.
    reprDigest: digestOf(request, 'repr-digest') ?? digestOf(request, 'content-digest'),
    trailingDigests: digestTrailers(request),
    minSize: contentLength(request) ?? 0,
    isAuthorized: uploadAuthorization(deps, request),
    precondition: preconditionOf(request),
  };
  await engine.admitFile(intent);
  requestBody(request, reply);
  const stored = await engine.receiveFile(request.raw, intent, async () => null);
  return await completed(deps, request, reply, { owner, name: stored.filename }, created);
}

async function resumable(
  deps: BeginDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  destination: Destination,
  complete: boolean,
  created: 200 | 201,
): Promise<FastifyReply> {
  const { engine } = deps;
  const { headers, principal } = request;
  const length = contentLength(request);
  // "…MUST NOT create an upload resource and SHOULD respond with 413 … with Upload-Limit."
  reply.header('upload-limit', limitOf(deps, null));
  const size = sizeOf(lengthOf(headers), complete, length);
  const proof = proofOf(request);
  const isAuthorized = uploadAuthorization(deps, request);
  const address = await engine.createResumable({
    owner: ownerOf(principal),
    creator: creatorOf(deps, principal),
    ...destination,
    size,
    contentType: typeOf(request),
    metadata: null,
    reprDigest: digestOf(request, 'repr-digest'),
    needsExplicitEnd: true,
    precondition: preconditionOf(request),
  });
  const announced = announceAddress(deps, request, reply, address);
  reply.header('upload-limit', firstLimitOf(deps));
  requestBody(request, reply);
  try {
    const onProgress = progressOf(request, reply);
    const append = {
      offset: 0,
      size: null,
      contentLength: length,
      isAuthorized,
      proof,
      ends: complete,
      reprDigest: digestTrailer(request, 'Repr-Digest'),
    };
    const state = await engine.append(request.raw, address, { ...append, ...(onProgress ? { onProgress } : {}) });
    stateFields(deps, reply, state);
    if (!state.complete) return reply.code(201).send();
    setUploadComplete(request, reply, true);
    return await completed(deps, request, reply, state, created);
  } catch (error) {
    await afterFailure(deps, request, reply, address, error, announced);
    throw error;
  }
}

/**
 * Sets `Location` for the answer. Clients that named a version also get it in a 104: "The 104 … MUST include Location."
 * @returns true if a 104 was sent
 */
function announceAddress(
  deps: BeginDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  address: ResourceAddress,
): boolean {
  const location = locationOf(deps, request, UPLOADS, address);
  reply.header('location', location);
  const version = interopVersion(request.headers);
  if (version === null) return false;
  inform(reply, version, { location, 'upload-limit': firstLimitOf(deps) });
  return true;
}

/** Handles an upload whose first bytes were refused. */
async function afterFailure(
  { engine }: BeginDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  address: ResourceAddress,
  error: unknown,
  announced: boolean,
): Promise<void> {
  if (!(error instanceof LadingError)) return;
  // "…even if the target's response is an error": all bytes arrived, and the file was refused.
  if (error.code === 'digest_mismatch') setUploadComplete(request, reply, true);
  endSuperseded(request, error);
  // Only a client that got the 104 knows the address and can continue: if the connection broke, no client reads this answer. Bytes
  // beyond the declared length make the upload invalid.
  const canContinue = error.status >= 500 || RESUMABLE_ERRORS.has(error.code);
  const invalid = error.code === 'out_of_bounds';
  if (!canContinue && (invalid || !announced) && error.code !== 'digest_mismatch') {
    reply.removeHeader('location');
    await engine.removeResumable(address).catch(() => {});
  }
}

/**
 * "A client MAY indicate the length by Upload-Length, or by Upload-Complete: ?1 and the length of the content; if both, they MUST agree."
 * @throws LadingError `size_conflict`
 */
function sizeOf(declared: number | null, complete: boolean, length: number | null): number | null {
  const implied = complete ? length : null;
  const actual = length ?? 0;
  if (declared === null) return implied;
  if ((implied === null || implied === declared) && actual <= declared) return declared;
  throw new LadingError('size_conflict', `Upload-Length is ${declared}, but the content has ${length} bytes.`, {
    expected: declared,
    actual,
  });
}

function typeOf({ headers }: FastifyRequest): string | null {
  const type = headers['content-type'];
  return type === undefined ? null : checkContentType(type);
}

function digestOf({ headers }: FastifyRequest, field: 'repr-digest' | 'content-digest') {
  const value = headers[field];
  if (value === undefined) return null;
  return parseDigestField(String(value), field === 'repr-digest' ? 'Repr-Digest' : 'Content-Digest');
}
