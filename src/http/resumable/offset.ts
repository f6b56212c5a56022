/** HEAD and GET: return the offset of an upload. A request that still sends to the upload ends first, so that the offset is exact. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import { formatDigestField, preferredDigest } from '../../protocol/http/digests.ts';
import type { Config } from '../../settings/config.ts';
import { ownUpload, requestedAddress } from '../access/upload-capability.ts';
import { setUploadComplete, stateFields } from './common.ts';

/** What this request needs from the server. */
export interface OffsetDeps {
  config: Pick<Config, 'maxFileBytes'>;
  engine: Engine;
  clock: Clock;
}

/** Limit of the bytes that are hashed for `Want-Repr-Digest`. */
const DIGESTED_BYTES = 256 * 1024 ** 2;

/** Answers with 204 and the state of the upload in header fields. */
export async function offset(deps: OffsetDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { headers } = request;
  const address = requestedAddress(request);
  // "A request to retrieve the offset MUST NOT include Upload-Offset, Upload-Complete or Upload-Length … 400."
  if (
    ['upload-offset', 'upload-complete', 'upload-length', 'upload-incomplete'].some(
      (name) => headers[name] !== undefined,
    )
  )
    throw new LadingError(
      'invalid_request',
      'Request the offset without Upload-Offset, Upload-Complete and Upload-Length.',
    );
  await ownUpload(deps, request, address, 'resumable');
  const state = await deps.engine.resumableState(address);
  stateFields(deps, reply, state);
  setUploadComplete(request, reply, state.complete);
  const algorithm = preferredDigest(String(headers['want-repr-digest'] ?? ''));
  if (algorithm !== null && state.offset <= DIGESTED_BYTES) {
    const value = await deps.engine.resumableDigest(address, algorithm, state.offset);
    if (value !== null) reply.header('repr-digest', formatDigestField({ algorithm, value }));
  }
  return reply.header('cache-control', 'no-store').code(204).send();
}
