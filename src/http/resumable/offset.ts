/** HEAD and GET: how far an upload is. Whoever asks wants to go on, so a request that still receives is ended, and the offset is true. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../../contracts/clock.ts';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import { formatDigestField, preferredDigest } from '../../protocol/http/digests.ts';
import type { Config } from '../../settings/config.ts';
import { addressOf, ownUpload } from '../access/upload-capability.ts';
import { sayComplete, stateFields } from './common.ts';

/** What this request needs from the server. */
export interface OffsetDeps {
  config: Pick<Config, 'maxFileBytes'>;
  engine: Engine;
  clock: Clock;
}

/** More than this is not hashed for whoever asks how far it is. */
const DIGESTED_BYTES = 256 * 1024 ** 2;

export async function offset(deps: OffsetDeps, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { headers } = request;
  const address = addressOf((request.params as { address: string }).address);
  // "A request to retrieve the offset MUST NOT include Upload-Offset, Upload-Complete or Upload-Length … 400."
  if (
    ['upload-offset', 'upload-complete', 'upload-length', 'upload-incomplete'].some(
      (name) => headers[name] !== undefined,
    )
  )
    throw new LadingError('invalid_request', 'Who asks how far an upload is says nothing of it.');
  await ownUpload(deps, request, address, 'resumable');
  const state = await deps.engine.resumableState(address);
  stateFields(deps, reply, state);
  sayComplete(request, reply, state.complete);
  const algorithm = preferredDigest(String(headers['want-repr-digest'] ?? ''));
  if (algorithm !== null && state.offset <= DIGESTED_BYTES) {
    const value = await deps.engine.resumableDigest(address, algorithm, state.offset);
    if (value !== null) reply.header('repr-digest', formatDigestField({ algorithm, value }));
  }
  return reply.header('cache-control', 'no-store').code(204).send();
}
