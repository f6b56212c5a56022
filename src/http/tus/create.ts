/** POST: begins an upload, with its first bytes if they come along (extensions creation, creation-with-upload, creation-defer-length). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ResourceIntent } from '../../engine/appends.ts';
import { fileTooLarge, outOfBounds } from '../../engine/refusals.ts';
import { ownerOf } from '../../identity/policy.ts';
import { checkContentType } from '../../protocol/media-types.ts';
import { checkName } from '../../protocol/names.ts';
import { parseBytes, parseMetadata, parseSize, TUS_TYPE, textOf } from '../../protocol/tus.ts';
import type { RouteDeps } from '../deps.ts';
import { wantBody } from '../refuse.ts';
import { creatorOf, locationOf, stateFields, stillAllowed } from './common.ts';

export async function create(deps: RouteDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { engine, config } = deps;
  const { headers } = request;
  const intent = intentOf(deps, request);
  // "If the length of the upload exceeds the maximum … the Server MUST respond with the 413."
  if (intent.size !== null && intent.size > config.maxFileBytes) throw fileTooLarge(intent.size, config.maxFileBytes);
  const contentLength = parseBytes('Content-Length', headers['content-length']);
  const brings =
    headers['content-type'] === TUS_TYPE && (contentLength !== 0 || headers['transfer-encoding'] !== undefined);
  if (brings && intent.size !== null && (contentLength ?? 0) > intent.size)
    throw outOfBounds(contentLength ?? 0, intent.size);
  const stands = stillAllowed(deps, request);
  const address = await engine.createResource(intent);
  const append = { offset: 0, size: null, contentLength, stands };
  if (brings) {
    try {
      wantBody(request, reply);
      await engine.append(request.raw, address, append);
    } catch (error) {
      // Nobody was told where it is.
      await engine.removeResource(address).catch(() => {});
      throw error;
    }
  }
  const state = await engine.resource(address, true);
  stateFields(reply, state);
  // "The Server MUST acknowledge a successful upload creation with the 201 … and MUST set the Location header."
  return reply
    .code(201)
    .header('location', locationOf(deps, request, address))
    .send();
}

function intentOf(deps: RouteDeps, request: FastifyRequest): ResourceIntent {
  const { headers, principal } = request;
  const size = parseSize(headers);
  const metadata = [headers['upload-metadata']].flat()[0];
  const pairs = parseMetadata(metadata);
  const type = textOf(pairs, 'filetype', 'type');
  return {
    owner: ownerOf(principal),
    creator: creatorOf(deps, principal),
    name: checkName(textOf(pairs, 'filename', 'name') ?? `upload-${request.id.replaceAll(/[^\w-]/g, '')}`),
    overwrite: textOf(pairs, 'overwrite') === 'true',
    size,
    contentType: type === null ? null : checkContentType(type),
    metadata: metadata ?? null,
  };
}
