/**
 * The routes that store the content of a file with PUT or POST: in one request or, with `Upload-Complete`, as a resumable upload
 * (draft-ietf-httpbis-resumable-upload). Each method has a file in `http/resumable`.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { SecondFactor } from '../../identity/second-factor.ts';
import { fileNameOf } from '../../protocol/http/disposition.ts';
import { checkName } from '../../protocol/names.ts';
import { FileStatus } from '../../protocol/schemas/files.ts';
import { ForeignQuery } from '../../protocol/schemas/parts.ts';
import type { RateLimits } from '../access/rate-limit.ts';
import { uploadAuth } from '../access/upload-capability.ts';
import { unparsedBodies } from '../body/unparsed.ts';
import { ANY_BYTES } from '../native/form-file-schema.ts';
import { skipBodyValidation } from '../native/upload.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { addressParameter, nameParameter } from '../request/parameters.ts';
import { PRECONDITIONS } from '../request/preconditions.ts';
import { append } from './append.ts';
import { type BeginDeps, begin } from './begin.ts';
import { cancel } from './cancel.ts';
import { capabilities, commonFields, resumableRefusal, UPLOADS } from './common.ts';
import { offset } from './offset.ts';

/** What these routes need from the server. */
export interface ResumableRouteDeps extends BeginDeps {
  secondFactor: SecondFactor;
}

interface Named {
  Params: { '*': string };
}

const CONTENT = '/api/files/content/*';
const tags = ['Resumable uploads'];
const params = addressParameter;
/** Clients of the draft may add query parameters to an address. */
const querystring = ForeignQuery;
const config = { needs: 'files:write', frequent: true, refusal: resumableRefusal } as const;
const noContent = (description: string) => ({ type: 'null', description });
const RESUMABLE = ['Upload-Complete', 'Upload-Length', 'Upload-Draft-Interop-Version'] as const;
const CREATION = [...RESUMABLE, 'Content-Digest', 'Repr-Digest', 'Want-Repr-Digest'] as const;
const STATE = ['Upload-Complete', 'Upload-Offset', 'Upload-Length', 'Upload-Limit'] as const;
const BYTES = [
  'chunk_conflict',
  'length_mismatch',
  'checksum_mismatch',
  'digest_mismatch',
  'file_too_large',
  'quota_exceeded',
  'unsupported_media_type',
  'size_conflict',
  'superseded',
] as const;

/** Registers the routes, inside a scope whose requests are refused while the server starts or stops. */
export function resumableRoutes(app: FastifyInstance, deps: ResumableRouteDeps, limits: RateLimits): void {
  app.register(async (scope) => {
    scope.addHook('onRequest', (request, reply, next) => {
      commonFields(request, reply);
      next();
    });
    const options = { schema: { hide: true }, config: { refusal: resumableRefusal } };
    scope.options(CONTENT, options, (_request, reply) => capabilities(deps, reply, 'PUT, POST, OPTIONS'));
    for (const url of ['/api/uploads', UPLOADS])
      scope.options(url, options, (_request, reply) => capabilities(deps, reply, 'POST, OPTIONS'));
    scope.options(`${UPLOADS}:address`, options, (_request, reply) =>
      capabilities(deps, reply, 'HEAD, GET, PATCH, DELETE, OPTIONS'),
    );
    scope.register(async (signedIn) => verbs(signedIn, deps, limits));
  });
}

function verbs(app: FastifyInstance, deps: ResumableRouteDeps, limits: RateLimits): void {
  uploadAuth(app, deps, limits);
  // Bodies are streams of any type; the engine reads them.
  unparsedBodies(app);
  app.after(() => {
    creations(app, deps);
    resources(app, deps);
  });
}

function creations(app: FastifyInstance, deps: ResumableRouteDeps): void {
  const response = {
    200: FileStatus,
    201: Type.Union([FileStatus, Type.Null()], {
      description: 'The bytes are stored. If the upload continues, the reply has no body and Location has its address.',
    }),
  };
  const documented = {
    content: ANY_BYTES,
    optionalBody: true,
    request: [...PRECONDITIONS, ...CREATION] as const,
    replies: { 200: ['ETag', ...STATE, 'Location'] as const, 201: ['ETag', ...STATE, 'Location'] as const },
    // `not_found`: the upload was deleted during the request.
    errors: [
      ...SIGNED_IN,
      ...BYTES,
      'length_required',
      'out_of_bounds',
      'invalid_name',
      'not_found',
      'already_exists',
      'precondition_failed',
    ] as const,
  };
  const schema = { tags, params: nameParameter, response, documented };
  const putSummary = 'Stores a file under this name and replaces an existing one. Resumable with Upload-Complete.';
  app.put<Named>(
    CONTENT,
    { schema: { ...schema, summary: putSummary }, validatorCompiler: skipBodyValidation, config },
    (request, reply) => begin(deps, request, reply, { name: checkName(request.params['*']), ifTaken: 'replace' }),
  );
  const postSummary = 'Stores a new file under this name. Resumable with Upload-Complete.';
  app.post<Named>(
    CONTENT,
    { schema: { ...schema, summary: postSummary }, validatorCompiler: skipBodyValidation, config },
    (request, reply) => begin(deps, request, reply, { name: checkName(request.params['*']), ifTaken: 'refuse' }),
  );
  const named = {
    tags,
    summary: 'Stores a new file under the name in Content-Disposition. Resumable with Upload-Complete.',
    querystring,
    response,
    documented: { ...documented, request: ['Content-Disposition', ...PRECONDITIONS, ...CREATION] as const },
  };
  app.post('/api/uploads', { schema: named, validatorCompiler: skipBodyValidation, config }, (request, reply) =>
    begin(deps, request, reply, { name: nameOf(request), ifTaken: 'rename' }),
  );
  app.post(UPLOADS, { schema: { hide: true }, config }, (request, reply) =>
    begin(deps, request, reply, { name: nameOf(request), ifTaken: 'rename' }),
  );
}

function resources(app: FastifyInstance, deps: ResumableRouteDeps): void {
  const errors = [...SIGNED_IN, 'not_found'] as const;
  const offsetSchema = {
    tags,
    summary: 'Returns the offset of a resumable upload.',
    params,
    querystring,
    response: { 204: noContent('Upload-Offset and Upload-Complete have the state.') },
    documented: {
      request: ['Upload-Draft-Interop-Version', 'Want-Repr-Digest'] as const,
      replies: { 204: [...STATE, 'Cache-Control', 'Repr-Digest'] as const },
      errors,
    },
  };
  app.head(
    `${UPLOADS}:address`,
    { schema: offsetSchema, config: { ...config, swagger: { exposeHeadRoute: true } } },
    (request, reply) => offset(deps, request, reply),
  );
  app.get(`${UPLOADS}:address`, { schema: offsetSchema, config, exposeHeadRoute: false }, (request, reply) =>
    offset(deps, request, reply),
  );
  const appendSchema = {
    tags,
    summary: 'Appends bytes to a resumable upload. Upload-Complete: ?1 marks the last ones.',
    params,
    querystring,
    response: { 200: FileStatus, 204: noContent('The bytes are stored; the upload continues.') },
    documented: {
      content: ANY_BYTES,
      optionalBody: true,
      request: ['Upload-Offset', ...RESUMABLE, 'Content-Digest', 'Want-Repr-Digest', ...PRECONDITIONS] as const,
      replies: { 200: ['ETag', ...STATE] as const, 204: STATE },
      // `already_exists`: the upload claims the name only at its end.
      errors: [
        ...errors,
        ...BYTES,
        'already_exists',
        'offset_mismatch',
        'out_of_bounds',
        'precondition_failed',
      ] as const,
    },
  };
  app.patch(
    `${UPLOADS}:address`,
    { schema: appendSchema, validatorCompiler: skipBodyValidation, config },
    (request, reply) => append(deps, request, reply),
  );
  const cancelSchema = {
    tags,
    summary: 'Discards a resumable upload. For a complete file, removes only the address.',
    params,
    querystring,
    response: { 204: noContent('The upload was discarded, or its address was removed.') },
    documented: { request: PRECONDITIONS, errors: [...errors, 'precondition_failed'] as const },
  };
  app.delete(`${UPLOADS}:address`, { schema: cancelSchema, config }, (request, reply) => cancel(deps, request, reply));
}

/** The name in `Content-Disposition`, without invalid characters; a generated name if nothing is left. */
function nameOf({ headers, id }: FastifyRequest): string {
  const given = fileNameOf(headers['content-disposition'] ?? '') ?? '';
  const clean = given.replace(/[\p{Control}\p{Surrogate}]/gu, '');
  if (clean === '' || clean === '.' || clean === '..') return `upload-${id.replaceAll(/[^\w-]/g, '')}`;
  return checkName(clean);
}
