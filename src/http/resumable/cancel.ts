/** DELETE: discards an upload. A request that still sends to the upload ends first. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import { ownUpload, requestedAddress } from '../access/upload-capability.ts';
import { preconditionOf } from '../request/preconditions.ts';

/** What this request needs from the server. */
export interface CancelDeps {
  engine: Engine;
}

/** Answers a DELETE with 204. */
export async function cancel(deps: CancelDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const address = requestedAddress(request);
  await ownUpload(deps, request, address, 'resumable');
  await deps.engine.removeResumable(address, preconditionOf(request));
  return reply.removeHeader('upload-complete').removeHeader('upload-incomplete').code(204).send();
}
