/** The routes of tus 1.0.0 at /files/, for Uppy, tus-js-client, tus-py-client and other clients. Each method has a file in `http/tus`. */
import type { FastifyInstance } from 'fastify';
import type { SecondFactor } from '../../identity/second-factor.ts';
import { ForeignQuery } from '../../protocol/schemas/parts.ts';
import { bearerAuth } from '../access/bearer.ts';
import type { RateLimits } from '../access/rate-limit.ts';
import { ownUpload, requestedAddress, uploadAuth } from '../access/upload-capability.ts';
import { unparsedBodies } from '../body/unparsed.ts';
import { type DownloadDeps, downloadSchema } from '../native/download.ts';
import { fileSender } from '../native/file-sender.ts';
import { Binary } from '../native/form-file-schema.ts';
import { skipBodyValidation } from '../native/upload.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { addressParameter } from '../request/parameters.ts';
import { PRECONDITIONS } from '../request/preconditions.ts';
import { append } from './append.ts';
import { capabilities } from './capabilities.ts';
import { checkVersion, commonFields, offsetRefusal, tusRefusal } from './common.ts';
import { type CreateDeps, create } from './create.ts';
import { offset } from './offset.ts';
import { terminate } from './terminate.ts';

/** What these routes need from the server. */
export interface TusDeps extends DownloadDeps, CreateDeps {
  secondFactor: SecondFactor;
}

const tags = ['tus'];
const params = addressParameter;
/** Clients of tus may add query parameters to an address. */
const querystring = ForeignQuery;
const noContent = (description: string) => ({ type: 'null', description });
const config = { needs: 'files:write', frequent: true, refusal: tusRefusal } as const;
const TUS_BYTES = { 'application/offset+octet-stream': { schema: Binary } };
const STATE = ['Tus-Resumable', 'Upload-Offset', 'Upload-Expires'] as const;
const COMMON = [...SIGNED_IN, 'precondition_failed', 'not_found'] as const;
/** Errors of requests with bytes. `chunk_conflict` and `already_exists`: another upload uses the name. */
const BYTES = [
  'already_exists',
  'chunk_conflict',
  'file_too_large',
  'quota_exceeded',
  'unsupported_media_type',
] as const;

/** Registers the routes of tus, inside a scope whose requests are refused while the server starts or stops. */
export function tusRoutes(app: FastifyInstance, deps: TusDeps, limits: RateLimits): void {
  app.register(async (scope) => {
    scope.addHook('onRequest', (_request, reply, next) => {
      commonFields(reply);
      next();
    });
    for (const url of ['/files', '/files/', '/files/:address']) {
      scope.options(url, { schema: { hide: true }, config: { refusal: tusRefusal } }, (_request, reply) =>
        capabilities(deps, reply),
      );
    }
    scope.register(async (signedIn) => verbs(signedIn, deps, limits));
    scope.register(async (signedIn) => fileRoute(signedIn, deps, limits));
  });
}

/**
 * GET on the address of a complete upload returns its file, as on other tus servers. This is not part of tus: the request needs no
 * version, and the address alone does not permit reading.
 */
function fileRoute(app: FastifyInstance, deps: TusDeps, limits: RateLimits): void {
  const { access, secondFactor } = deps;
  app.register(bearerAuth, { access, limits, secondFactor });
  const send = fileSender(app, deps);
  app.after(() => {
    const { documented } = downloadSchema;
    const summary = 'Downloads a file that was uploaded by tus, whole or by ranges.';
    app.get(
      '/files/:address',
      {
        schema: { ...downloadSchema, tags, summary, params, querystring: ForeignQuery, documented },
        config: { needs: 'files:read', guarded: 'downloads', frequent: true },
        exposeHeadRoute: false,
      },
      async (request, reply) => {
        const address = requestedAddress(request);
        await ownUpload(deps, request, address, 'tus');
        const { owner, name } = await deps.engine.resumableState(address, true);
        return send({ owner, name, id: address.id }, request, reply);
      },
    );
  });
}

function verbs(app: FastifyInstance, deps: TusDeps, limits: RateLimits): void {
  app.addHook('onRequest', (request, _reply, next) => {
    try {
      checkVersion(request);
    } catch (error) {
      return next(error as Error);
    }
    next();
  });
  uploadAuth(app, deps, limits);
  unparsedBodies(app);
  app.after(() => {
    createRoutes(app, deps);
    offsetRoute(app, deps);
    appendRoute(app, deps);
    terminateRoute(app, deps);
  });
}

function createRoutes(app: FastifyInstance, deps: TusDeps): void {
  const schema = {
    tags,
    summary: 'Creates a tus upload, optionally with its first bytes.',
    querystring,
    response: { 201: noContent('The upload was created. Location has its address.') },
    documented: {
      content: TUS_BYTES,
      optionalBody: true,
      request: [
        'Tus-Resumable',
        'Upload-Length',
        'Upload-Defer-Length',
        'Upload-Metadata',
        'Upload-Concat',
        'Upload-Checksum',
        ...PRECONDITIONS,
      ] as const,
      replies: { 201: ['Location', 'Tus-Resumable', 'Upload-Offset', 'Upload-Expires'] as const },
      errors: [...COMMON, ...BYTES, 'invalid_name', 'out_of_bounds', 'checksum_mismatch'] as const,
    },
  };
  app.post('/files/', { schema, validatorCompiler: skipBodyValidation, config }, (request, reply) =>
    create(deps, request, reply),
  );
  app.post('/files', { schema: { hide: true }, config }, (request, reply) => create(deps, request, reply));
}

function offsetRoute(app: FastifyInstance, deps: TusDeps): void {
  const schema = {
    tags,
    summary: 'Returns the offset of a tus upload.',
    params,
    querystring,
    response: { 200: noContent('Upload-Offset has the offset.') },
    documented: {
      request: ['Tus-Resumable'] as const,
      replies: {
        200: [
          ...STATE,
          'Cache-Control',
          'Upload-Length',
          'Upload-Defer-Length',
          'Upload-Metadata',
          'Upload-Concat',
        ] as const,
      },
      errors: COMMON,
    },
  };
  app.head(
    '/files/:address',
    { schema, config: { ...config, refusal: offsetRefusal, swagger: { exposeHeadRoute: true } } },
    (request, reply) => offset(deps, request, reply),
  );
}

function appendRoute(app: FastifyInstance, deps: TusDeps): void {
  const schema = {
    tags,
    summary: 'Appends any number of bytes to a tus upload.',
    params,
    querystring,
    response: { 204: noContent('The bytes are stored. Upload-Offset has the new offset.') },
    documented: {
      content: TUS_BYTES,
      request: ['Tus-Resumable', 'Upload-Offset', 'Upload-Length', 'Upload-Checksum', ...PRECONDITIONS] as const,
      replies: { 204: STATE },
      errors: [
        ...COMMON,
        ...BYTES,
        'forbidden',
        'checksum_mismatch',
        'offset_mismatch',
        'superseded',
        'out_of_bounds',
        'size_conflict',
      ] as const,
    },
  };
  app.patch('/files/:address', { schema, validatorCompiler: skipBodyValidation, config }, (request, reply) =>
    append(deps, request, reply),
  );
}

function terminateRoute(app: FastifyInstance, deps: TusDeps): void {
  const schema = {
    tags,
    summary: 'Discards a tus upload. For a complete file, removes only the address.',
    params,
    querystring,
    response: { 204: noContent('The upload was discarded, or its address was removed.') },
    documented: {
      request: ['Tus-Resumable', ...PRECONDITIONS] as const,
      replies: { 204: ['Tus-Resumable'] as const },
      errors: COMMON,
    },
  };
  app.delete('/files/:address', { schema, config }, (request, reply) => terminate(deps, request, reply));
}
