/** PATCH: appends bytes to an upload. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { parseBytes } from '../../protocol/http/tus.ts';
import { endSuperseded, ownUpload, requestedAddress, uploadAuthorization } from '../access/upload-capability.ts';
import { requestBody } from '../problems/early-refusal.ts';
import { preconditionOf } from '../request/preconditions.ts';
import { checkType, proofOf, stateFields } from './common.ts';

/** What this request needs from the server. */
export interface AppendDeps {
  engine: Engine;
  identity: Identity;
  access: Access;
}

/** Answers a PATCH with 204 and the new offset. */
export async function append(deps: AppendDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { headers } = request;
  const address = requestedAddress(request);
  checkType(request);
  const start = parseBytes('Upload-Offset', headers['upload-offset']);
  if (start === null) throw new LadingError('invalid_request', 'Upload-Offset is missing.');
  const intent = {
    offset: start,
    // "Once the length is known the Client MUST set the Upload-Length header in the next PATCH request. Once set the length MUST NOT be
    // changed."
    size: parseBytes('Upload-Length', headers['upload-length']),
    contentLength: parseBytes('Content-Length', headers['content-length']),
    isAuthorized: uploadAuthorization(deps, request),
    proof: proofOf(request),
    precondition: preconditionOf(request),
  };
  await ownUpload(deps, request, address, 'tus');
  requestBody(request, reply);
  try {
    // "If the offsets do not match, the Server MUST respond with the 409 Conflict status without modifying the upload resource"; "The
    // Server SHOULD always attempt to store as much of the received data as possible."
    const state = await deps.engine.append(request.raw, address, intent);
    // "The Server MUST acknowledge successful PATCH requests with the 204. It MUST include the Upload-Offset header containing the new
    // offset."
    stateFields(reply, state);
    return reply.code(204).send();
  } catch (error) {
    endSuperseded(request, error);
    throw error;
  }
}
