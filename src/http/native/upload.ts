/** POST /api/files/upload: receives one chunk, raw or in a form. This is the hot path of the server. `train.ts` has the route for trains. */
import type { IncomingHttpHeaders } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { FastifyInstance, FastifyRequest, FastifySchema, FastifySchemaCompiler } from 'fastify';
import Type, { type TSchema } from 'typebox';
import { isCutShort } from '../../engine/body/cut-short.ts';
import type { Engine } from '../../engine/engine.ts';
import type { ChunkIntent } from '../../engine/receive/chunk-intent.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import { ownerOf } from '../../identity/rights/policy.ts';
import { isContentRange } from '../../protocol/http/content-range.ts';
import { isMediaType } from '../../protocol/http/media-types.ts';
import { FileStatus, UploadQuery } from '../../protocol/schemas/files.ts';
import { LINES_TYPE, TRAIN_CRC32_TYPE, TRAIN_TYPE } from '../../protocol/train.ts';
import type { Compat } from '../../settings/compat.ts';
import type { Config } from '../../settings/config.ts';
import { authorizationOf } from '../access/bearer.ts';
import { digestTrailers } from '../body/digest-trailers.ts';
import { MultipartPart } from '../body/multipart.ts';
import type { Metrics } from '../observe/metrics.ts';
import { requestBody } from '../problems/early-refusal.ts';
import { unsupportedMediaType } from '../problems/problems.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { PRECONDITIONS, preconditionOf } from '../request/preconditions.ts';
import { validatorCompiler } from '../request/query.ts';
import { checkFormField } from '../request/unknown-keys.ts';
import { chunkIntent } from './chunk-intent.ts';
import { Binary } from './form-file-schema.ts';

/** What these routes need from the server. */
export interface UploadDeps {
  config: Pick<Config, 'compat'>;
  engine: Engine;
  access: Access;
  metrics: Metrics;
}

interface Upload {
  Querystring: UploadQuery;
}

export const URL = '/api/files/upload';
const PARAMETERS = Object.keys(UploadQuery.properties);

export const uploadSchema = {
  tags: ['Files'],
  summary:
    'Stores one chunk (a 17-byte header and data), as the raw body or the part "file" of a form, or a train of chunks.',
  querystring: UploadQuery,
  response: { 200: FileStatus },
  documented: {
    // An empty file has no body.
    optionalBody: true,
    request: ['Content-Range', 'X-Chunk-CRC32', 'Content-Digest', 'Repr-Digest', ...PRECONDITIONS],
    errors: [
      ...SIGNED_IN,
      'malformed_header',
      'length_mismatch',
      'checksum_mismatch',
      'digest_mismatch',
      'out_of_bounds',
      'invalid_name',
      // The upload was deleted during the request.
      'not_found',
      // The name belongs to an upload with its own address, or a file upload of the name is running.
      'already_exists',
      'size_conflict',
      'chunk_conflict',
      'file_complete',
      'precondition_failed',
      'chunk_too_large',
      'file_too_large',
      'quota_exceeded',
      'unsupported_media_type',
      'validation_failed',
    ],
  },
} satisfies FastifySchema;

export function uploadRoutes(app: FastifyInstance, deps: UploadDeps): void {
  app.register(async (scope) => rawRoute(scope, deps));
  app.register(async (scope) => formRoute(scope, deps));
}

function rawRoute(app: FastifyInstance, deps: UploadDeps): void {
  const { engine, metrics } = deps;
  const options = compatOptions(deps.config.compat);
  app.post<Upload>(URL, {
    schema: { ...uploadSchema, ...documentedBodies },
    validatorCompiler: skipBodyValidation,
    config: { frequent: true, needs: 'files:write', readsContentRange: true },
    handler: async (request, reply): Promise<FileStatus> => {
      const since = performance.now();
      checkRawType(request);
      const intent = chunkIntent(ownerOf(request.principal), request.query, request.headers);
      Object.assign(intent, options);
      intent.isAuthorized = authorizationOf(deps, request);
      intent.precondition = preconditionOf(request);
      intent.trailingDigests = digestTrailers(request);
      await engine.admitChunk(intent);
      requestBody(request, reply);
      assertConnected(request);
      const status = await engine.receiveChunk(request.raw, intent);
      if (status.chunk) metrics.chunk(status.chunk.end - status.chunk.start + 1, since);
      return status;
    },
  });
}

function formRoute(app: FastifyInstance, deps: UploadDeps): void {
  const { engine, metrics } = deps;
  const options = compatOptions(deps.config.compat);
  app.post<Upload>(URL, {
    constraints: { uploadBody: 'form' },
    // The schema of the raw route documents both.
    schema: { ...uploadSchema, hide: true },
    config: { frequent: true, needs: 'files:write', readsContentRange: true },
    handler: async (request, reply): Promise<FileStatus> => {
      const since = performance.now();
      const headers = withoutInvalidRange(request.headers);
      const { contentDigest, ...rest } = chunkIntent(ownerOf(request.principal), request.query, headers);
      // The length and the digest of the form are not those of the chunk.
      const intent: ChunkIntent = {
        ...rest,
        ...options,
        contentDigest: null,
        contentLength: null,
        isAuthorized: authorizationOf(deps, request),
        precondition: preconditionOf(request),
      };
      await engine.admitChunk(intent);
      requestBody(request, reply);
      assertConnected(request);
      const query = { names: PARAMETERS, given: { ...request.query } };
      const form = new MultipartPart(
        request,
        contentDigest,
        (watched) => engine.watchStalls(watched),
        'file',
        (name, value) => checkFormField([name, value], [], query),
      );
      try {
        const status = await engine.receiveChunk(await form.file(), intent, () => form.finish());
        if (status.chunk) metrics.chunk(status.chunk.end - status.chunk.start + 1, since);
        return status;
      } finally {
        form.release();
      }
    },
  });
}

/** Removes an invalid Content-Range, which older programs send with a form. The range of the chunk is in its header. */
function withoutInvalidRange(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { 'content-range': range, ...others } = headers;
  return typeof range === 'string' && !isContentRange(range) ? others : headers;
}

/** Options of a chunk that `LADING_COMPAT` enables, for programs of older servers. */
function compatOptions(compat: Compat): Pick<ChunkIntent, 'replaceFromStart' | 'emptyChunk'> {
  return { replaceFromStart: compat.allows('replaceFromStart'), emptyChunk: compat.allows('emptyChunk') };
}

/** All kinds of bodies and replies, for the OpenAPI document. */
const documentedBodies = {
  body: {
    content: {
      'application/octet-stream': { schema: Binary },
      'multipart/form-data': { schema: Type.Object({ file: Binary }) },
      [TRAIN_TYPE]: { schema: Binary },
      [TRAIN_CRC32_TYPE]: { schema: Binary },
    },
  },
  response: {
    200: {
      description:
        'The status of the file. For a train with Accept: application/x-ndjson, also one line for each commit.',
      content: {
        'application/json': { schema: FileStatus },
        [LINES_TYPE]: {
          schema: Type.String({
            description:
              'One JSON document per line. Each commit is a line with committed (its ranges), committed_chunks, bytes_received and ' +
              'next_expected_byte; the last line is the status of the file or a problem.',
          }),
          example:
            '{"committed":[[0,4095]],"committed_chunks":1,"bytes_received":4096,"next_expected_byte":4096}\n' +
            '{"filename":"a.bin","status":"partial","bytes_received":4096,"total_bytes":8192,"next_expected_byte":4096}\n',
        },
      },
    },
  },
};

/** Validates everything except the body, which is a stream. */
export const skipBodyValidation: FastifySchemaCompiler<TSchema> = (route) =>
  route.httpPart === 'body' ? () => true : validatorCompiler(route);

function checkRawType({ headers }: FastifyRequest): void {
  const type = headers['content-type'];
  if (type !== undefined && !isMediaType(type, 'application/octet-stream')) throw unsupportedMediaType();
}

/** Refuses a request whose client disconnected while its headers were checked. The stream emits no event for that afterwards. */
export function assertConnected({ raw }: FastifyRequest): void {
  if (isCutShort(raw)) throw new LadingError('length_mismatch', 'The connection broke before the body was complete.');
}
