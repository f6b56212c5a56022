/** POST /api/files/upload with a train: many chunks in one body (PROTOCOL §8). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TrainIntent } from '../../engine/trains/train.ts';
import type { CommittedGroup } from '../../engine/trains/train-group.ts';
import { LadingError } from '../../errors.ts';
import { ownerOf } from '../../identity/rights/policy.ts';
import { isMediaType } from '../../protocol/http/media-types.ts';
import type { FileStatus, UploadQuery } from '../../protocol/schemas/files.ts';
import { LINES_TYPE, TRAIN_CRC32_TYPE } from '../../protocol/train.ts';
import { authorizationOf } from '../access/bearer.ts';
import { digestTrailers } from '../body/digest-trailers.ts';
import { mayReadLater } from '../connection/unread.ts';
import { endUnread, requestBody } from '../problems/early-refusal.ts';
import { asLadingError, internalError, problemReply } from '../problems/problems.ts';
import { prefersLines } from '../request/accept.ts';
import { preconditionOf } from '../request/preconditions.ts';
import { chunkIntent } from './chunk-intent.ts';
import { TrainLines } from './train-lines.ts';
import { assertConnected, type UploadDeps, URL, uploadSchema } from './upload.ts';

export function trainRoute(app: FastifyInstance, deps: UploadDeps): void {
  const { engine, metrics } = deps;
  app.post<{ Querystring: UploadQuery }>(URL, {
    constraints: { uploadBody: 'train' },
    // Documented with the route for one chunk, because OpenAPI sees one operation.
    schema: { ...uploadSchema, hide: true },
    config: { frequent: true, needs: 'files:write', readsContentRange: true },
    handler: async (request, reply) => {
      const intent = trainIntent(request, request.query);
      intent.isAuthorized = authorizationOf(deps, request);
      await engine.admitTrain(intent);
      requestBody(request, reply);
      assertConnected(request);
      const receive = (onGroup?: (group: CommittedGroup) => void): Promise<FileStatus> =>
        engine.receiveTrain(request.raw, intent, (group) => {
          metrics.group(group.chunks, group.bytes);
          onGroup?.(group);
        });
      if (!prefersLines(request.headers.accept)) return await receive();
      return await replyInLines(request, reply, receive);
    },
  });
}

/** @throws LadingError `invalid_request`, and as `chunkIntent` */
function trainIntent(request: FastifyRequest, query: UploadQuery): TrainIntent {
  const { headers } = request;
  for (const field of ['content-digest', 'x-chunk-crc32']) {
    if (headers[field] !== undefined) throw ofOneChunk(field);
  }
  const trailingDigests = digestTrailers(request);
  if (trailingDigests?.contentDigest) throw ofOneChunk('content-digest');
  const intent = chunkIntent(ownerOf(request.principal), query, headers);
  if (intent.range) throw ofOneChunk('content-range');
  return {
    ...intent,
    // The length of the body is that of the train, not of one chunk.
    contentLength: null,
    precondition: preconditionOf(request),
    trailingDigests,
    hasCrc32: isMediaType(headers['content-type'], TRAIN_CRC32_TYPE),
  };
}

function ofOneChunk(field: string): LadingError {
  return new LadingError(
    'invalid_request',
    `${field} describes one chunk and is not accepted with a train. Send total_size for the size of the file, ` +
      `${TRAIN_CRC32_TYPE} for CRC-32s, and Repr-Digest for a digest of the whole file.`,
    { header: field },
  );
}

/** Begins the reply at the first commit. An error before that still gets its own HTTP status. */
async function replyInLines(
  request: FastifyRequest,
  reply: FastifyReply,
  receive: (onGroup: (group: CommittedGroup) => void) => Promise<FileStatus>,
): Promise<FastifyReply> {
  const lines = new TrainLines();
  const endPermission = mayReadLater(reply.raw);
  const received = receive((group) => lines.group(group)).finally(endPermission);
  const ended = received.then(
    (status) => {
      lines.outcome(JSON.stringify(status));
      lines.end();
    },
    async (error: unknown) => {
      if (!lines.hasBegun) return;
      lines.outcome(problemLine(error, request));
      // The client may still be sending. Give it time to read the problem before the connection closes.
      await endUnread(request, reply);
      lines.end();
    },
  );
  await Promise.race([lines.begun, ended]);
  // An error before the first commit is thrown here.
  if (!lines.hasBegun) await received;
  // Keeps proxies (nginx) from buffering the lines.
  reply.headers({ 'content-type': LINES_TYPE, 'x-accel-buffering': 'no' });
  return reply.send(lines);
}

function problemLine(error: unknown, request: FastifyRequest): string {
  const known = asLadingError(error);
  if (!known || known.code === 'internal')
    request.log.error({ request_id: request.id, err: error }, 'unexpected error');
  const { body } = problemReply(known ?? internalError(error), request.id, true);
  request.refusalCode = known?.code ?? 'internal';
  return body.toString('utf8');
}
