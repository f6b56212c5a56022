/** HEAD: how far an upload is. Whoever asks wants to go on, so a request that still receives is ended, and the offset is true. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RouteDeps } from '../deps.ts';
import { addressOf, ownUpload, stateFields } from './common.ts';

export async function offset(deps: RouteDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const address = addressOf((request.params as { address: string }).address);
  await ownUpload(deps, request, address);
  const state = await deps.engine.resource(address);
  // "The Server MUST always include the Upload-Offset header in the response for a HEAD request, even if the offset is 0, or the upload
  // is already considered completed."
  stateFields(reply, state);
  // "If the size of the upload is known, the Server MUST include the Upload-Length header in the response"; else "As long as the length
  // of the upload is not known, the Server MUST set Upload-Defer-Length: 1 in all responses to HEAD requests."
  if (state.size === null) reply.header('upload-defer-length', '1');
  else reply.header('upload-length', String(state.size));
  // "If an upload contains additional metadata, responses to HEAD requests MUST include the Upload-Metadata header and its value as
  // specified by the Client during the creation."
  if (state.metadata !== null) reply.header('upload-metadata', state.metadata);
  // "The Server MUST prevent the client and/or proxies from caching the response."
  return reply.header('cache-control', 'no-store').code(200).send();
}
