/**
 * POST: creates an upload, optionally with its first bytes (extensions creation, creation-with-upload, creation-defer-length). It can be a
 * partial upload, or a file that consists of partial uploads (concatenation).
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import { fileTooLarge, outOfBounds } from '../../engine/files/refusals.ts';
import type { ResourceAddress, ResourceIntent } from '../../engine/receive/upload-resource.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { ownerOf } from '../../identity/rights/policy.ts';
import { isMediaType, mediaTypeOr } from '../../protocol/http/media-types.ts';
import {
  nameOf,
  parseBytes,
  parseConcat,
  parseMetadata,
  parseSize,
  TUS_TYPE,
  textOf,
} from '../../protocol/http/tus.ts';
import { checkName } from '../../protocol/names.ts';
import type { Config } from '../../settings/config.ts';
import { addressOf, creatorOf, locationOf, uploadAuthorization } from '../access/upload-capability.ts';
import { requestBody } from '../problems/early-refusal.ts';
import { preconditionOf } from '../request/preconditions.ts';
import { proofOf, stateFields } from './common.ts';

/** What this request needs from the server. */
export interface CreateDeps {
  config: Pick<Config, 'maxFileBytes' | 'uploadAbsolute' | 'uploadRight'>;
  engine: Engine;
  identity: Identity;
  access: Access;
}

/** Answers a POST with 201 and the address of the upload in `Location`. */
export async function create(deps: CreateDeps, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { engine, config } = deps;
  const { headers } = request;
  const intent = intentOf(deps, request);
  // "If the length of the upload exceeds the maximum … the Server MUST respond with the 413."
  if (intent.size !== null && intent.size > config.maxFileBytes) throw fileTooLarge(intent.size, config.maxFileBytes);
  const contentLength = parseBytes('Content-Length', headers['content-length']);
  const hasContent = contentLength !== 0 || headers['transfer-encoding'] !== undefined;
  const hasBytes = intent.concatenation === undefined && isMediaType(headers['content-type'], TUS_TYPE) && hasContent;
  const proof = hasBytes ? proofOf(request) : undefined;
  if (hasBytes && intent.size !== null && (contentLength ?? 0) > intent.size)
    throw outOfBounds(contentLength ?? 0, intent.size);
  const isAuthorized = uploadAuthorization(deps, request);
  const address = await engine.createResumable(intent);
  const append = { offset: 0, size: null, contentLength, isAuthorized, proof };
  if (hasBytes) {
    try {
      requestBody(request, reply);
      await engine.append(request.raw, address, append);
    } catch (error) {
      // The client did not receive the address, so nobody can continue the upload.
      await engine.removeResumable(address).catch(() => {});
      throw error;
    }
  }
  const state = await engine.resumableState(address, true);
  stateFields(reply, state);
  // "The Server MUST acknowledge a successful upload creation with the 201 … and MUST set the Location header."
  return reply
    .code(201)
    .header('location', locationOf(deps, request, '/files/', address))
    .send();
}

function intentOf(deps: CreateDeps, request: FastifyRequest): ResourceIntent {
  const { headers, principal } = request;
  const field = headers['upload-concat'];
  const concat = field === undefined ? null : parseConcat(String(field));
  const size = concat?.kind === 'final' ? null : parseSize(headers);
  // "The Client MUST NOT include the Upload-Length header in the final upload creation."
  if (concat?.kind === 'final' && headers['upload-length'] !== undefined)
    throw new LadingError(
      'invalid_request',
      'A final upload has the length of its parts. Send it without Upload-Length.',
    );
  const metadata = [headers['upload-metadata']].flat()[0];
  const pairs = parseMetadata(metadata);
  const type = textOf(pairs, 'filetype', 'type');
  return {
    owner: ownerOf(principal),
    creator: creatorOf(deps, principal),
    name: checkName(nameOf(pairs, 'filename', 'name') ?? `upload-${request.id.replaceAll(/[^\w-]/g, '')}`),
    ifTaken: textOf(pairs, 'overwrite') === 'true' ? 'replace' : 'rename',
    size,
    // Clients send whatever media type their system reports, even an invalid one.
    contentType: type === null ? null : mediaTypeOr(type, 'application/octet-stream'),
    metadata: metadata ?? null,
    precondition: preconditionOf(request),
    partial: concat?.kind === 'partial',
    ...(concat?.kind === 'final'
      ? { concatenation: { parts: partsOf(concat.addresses), concatHeader: concat.value } }
      : {}),
  };
}

/** @throws LadingError `invalid_request` for an invalid address */
function partsOf(addresses: string[]): ResourceAddress[] {
  try {
    return addresses.map(addressOf);
  } catch {
    throw new LadingError('invalid_request', 'Upload-Concat names an upload that does not exist.');
  }
}
