/** PATCH: appends bytes to an upload. With `Upload-Complete: ?1` they are the last ones. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { completeOf, interopVersion, lengthOf, offsetOf } from '../../protocol/http/resumable.ts';
import type { Config } from '../../settings/config.ts';
import {
  type addressOf,
  endSuperseded,
  ownUpload,
  requestedAddress,
  uploadAuthorization,
} from '../access/upload-capability.ts';
import { digestTrailer } from '../body/digest-trailers.ts';
import { requestBody } from '../problems/early-refusal.ts';
import { preconditionOf } from '../request/preconditions.ts';
import {
  checkType,
  completed,
  contentLength,
  limitOf,
  progressOf,
  proofOf,
  setUploadComplete,
  stateFields,
} from './common.ts';

/** What this request needs from the server. */
export interface AppendDeps {
  config: Pick<Config, 'maxFileBytes'>;
  engine: Engine;
  identity: Identity;
  clock: Clock;
  access: Access;
}

/** Answers a PATCH with 204 while the upload continues, and with the status of the file at its end. */
export async function append(deps: AppendDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { headers } = request;
  const { engine } = deps;
  reply.header('upload-limit', limitOf(deps, null));
  const address = requestedAddress(request);
  checkType(request);
  const offset = offsetOf(headers);
  if (offset === null) throw new LadingError('invalid_request', 'Upload-Offset is missing or not a whole number.');
  const ends = endsOf(request);
  const length = contentLength(request);
  await ownUpload(deps, request, address, 'resumable');
  const declared = lengthOf(headers);
  const implied = ends && length !== null ? offset + length : null;
  if (declared !== null && implied !== null && declared > implied)
    throw new LadingError('size_conflict', `Upload-Length is ${declared}, but the content ends at ${implied}.`);
  const proof = proofOf(request);
  const reprDigest = digestTrailer(request, 'Repr-Digest');
  const isAuthorized = uploadAuthorization(deps, request);
  requestBody(request, reply);
  try {
    const onProgress = progressOf(request, reply);
    const precondition = preconditionOf(request);
    const intent = {
      offset,
      size: declared ?? implied,
      contentLength: length,
      isAuthorized,
      proof,
      precondition,
      ends,
      reprDigest,
    };
    const state = await engine.append(request.raw, address, { ...intent, ...(onProgress ? { onProgress } : {}) });
    stateFields(deps, reply, state);
    if (!ends) return reply.code(204).send();
    setUploadComplete(request, reply, true);
    return await completed(deps, request, reply, state, 200);
  } catch (error) {
    if (error instanceof LadingError) await afterFailure(deps, request, reply, address, error);
    throw error;
  }
}

/**
 * True if the upload ends with this request.
 * @throws LadingError `invalid_request` without a valid field
 */
function endsOf({ headers }: FastifyRequest): boolean {
  const complete = completeOf(headers);
  if (complete !== null) return complete;
  // Draft -01: "If Upload-Incomplete is not set, it is false."
  if (interopVersion(headers) === 3) return true;
  throw new LadingError('invalid_request', 'Upload-Complete must be ?0 or ?1.');
}

async function afterFailure(
  { engine }: AppendDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  address: ReturnType<typeof addressOf>,
  error: LadingError,
): Promise<void> {
  endSuperseded(request, error);
  const { code } = error;
  if (code === 'digest_mismatch') setUploadComplete(request, reply, true);
  // "If the length is known, the server MUST prevent the offset from exceeding the upload length by rejecting the request …, marking the
  // upload resource invalid and rejecting any further interaction with it."
  if (code === 'out_of_bounds') await engine.removeResumable(address).catch(() => {});
}
