/** DELETE: discards an upload (extension termination). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import { ownUpload, requestedAddress } from '../access/upload-capability.ts';
import { preconditionOf } from '../request/preconditions.ts';

/** What this request needs from the server. */
export interface TerminateDeps {
  engine: Engine;
}

/** Answers a DELETE with 204. */
export async function terminate(deps: TerminateDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const address = requestedAddress(request);
  await ownUpload(deps, request, address, 'tus');
  // "The Server SHOULD free associated resources and MUST respond with the 204 No Content status confirming that the upload was
  // terminated. For all future requests to this URL, the Server SHOULD respond with the 404 or 410."
  await deps.engine.removeResumable(address, preconditionOf(request));
  return reply.code(204).send();
}
