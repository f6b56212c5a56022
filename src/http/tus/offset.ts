/** HEAD: returns the offset of an upload. A request that still sends to the upload ends first, so that the offset is exact. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import { ownUpload, requestedAddress } from '../access/upload-capability.ts';
import { stateFields } from './common.ts';

/** What this request needs from the server. */
export interface OffsetDeps {
  engine: Engine;
}

/** Answers a HEAD with the offset, the length and the metadata of the upload. */
export async function offset(deps: OffsetDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const address = requestedAddress(request);
  await ownUpload(deps, request, address, 'tus');
  const state = await deps.engine.resumableState(address);
  // "The Server MUST always include the Upload-Offset header in the response for a HEAD request, even if the offset is 0, or the upload
  // is already considered completed."
  stateFields(reply, state);
  // "If the size of the upload is known, the Server MUST include the Upload-Length header in the response"; else "As long as the length
  // of the upload is not known, the Server MUST set Upload-Defer-Length: 1 in all responses to HEAD requests."
  // The length of a final upload is unknown until every part has declared its own.
  if (state.size !== null) reply.header('upload-length', String(state.size));
  else if (state.kind !== 'concatenation') reply.header('upload-defer-length', '1');
  // "If an upload contains additional metadata, responses to HEAD requests MUST include the Upload-Metadata header and its value as
  // specified by the Client during the creation."
  if (state.metadata !== null) reply.header('upload-metadata', state.metadata);
  // "The response to a HEAD request for a partial or final upload MUST contain the Upload-Concat header and its value as received."
  if (state.kind === 'partial') reply.header('upload-concat', 'partial');
  if (state.concatHeader !== null) reply.header('upload-concat', state.concatHeader);
  // "The Server MUST prevent the client and/or proxies from caching the response."
  return reply.header('cache-control', 'no-store').code(200).send();
}
