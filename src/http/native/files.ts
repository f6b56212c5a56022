/** Lists, deletes, completes and verifies files. */
import type { FastifyInstance, FastifySchema } from 'fastify';
import Type, { type Static } from 'typebox';
import type { Engine } from '../../engine/engine.ts';
import { LadingError } from '../../errors.ts';
import type { Access } from '../../identity/authenticate.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import type { Quotas } from '../../identity/quotas.ts';
import { ownerOf } from '../../identity/rights/policy.ts';
import { checkName } from '../../protocol/names.ts';
import { Deleted, DeleteQuery, FileList, FileStatus, ListQuery, OwnerQuery } from '../../protocol/schemas/files.ts';
import { authorizeList, listGranted } from '../access/authorize-read.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { nameParameter } from '../request/parameters.ts';
import type { PathRules } from '../request/path-rules.ts';
import { PRECONDITIONS, preconditionOf } from '../request/preconditions.ts';
import { JSON_ARRAY, pagesOf, WHOLE_LIST_STEP, wholeList } from '../send/whole-lists.ts';

/** Rules for the paths that contain the name of a file. */
export const FILE_PATHS: PathRules = {
  folder: '/api/files/',
  anyLength: true,
  anyOrigin: /^\/api\/files(?:$|\/(?:download|status|content)\/)/,
  undecodable: () => new LadingError('invalid_name', 'The file name is not percent-encoded UTF-8.'),
};

/** What these routes need from the server. */
export interface FileDeps {
  engine: Engine;
  identity: Identity;
  quotas: Quotas;
  access: Access;
}

const tags = ['Files'];
const OF_A_NAME = [...SIGNED_IN, 'forbidden', 'invalid_name', 'not_found'] as const;

interface Named {
  Params: { '*': string };
  Querystring: OwnerQuery;
}

const FileVerified = Type.Object(
  {
    ok: Type.Boolean({
      description: 'True when all stored bytes match the CRC-32 that was recorded when they arrived.',
    }),
    checked_bytes: Type.Integer({ minimum: 0 }),
    bad: Type.Unsafe<[number, number][]>({
      type: 'array',
      items: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 2, maxItems: 2 },
      description: 'Ranges that do not match, as [start, end], both inclusive.',
    }),
  },
  { title: 'FileVerified' },
);
type FileVerified = Static<typeof FileVerified>;

/** The cursor of a list: the last name of the page, in base64url so that clients treat it as opaque. */
export function encodeCursor(name: string | null): string | null {
  return name === null ? null : Buffer.from(name).toString('base64url');
}

/**
 * The name in a cursor; null without one.
 * @throws LadingError `invalid_request`
 */
export function decodeCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const name = Buffer.from(cursor, 'base64url').toString();
  if (name === '' || encodeCursor(name) !== cursor) {
    throw new LadingError('invalid_request', 'The cursor is invalid. Send the next_cursor of the previous page.');
  }
  return name;
}

export function fileRoutes(app: FastifyInstance, deps: FileDeps): void {
  listRoute(app, deps);
  deleteRoute(app, deps);
  completeRoute(app, deps);
  verifyRoute(app, deps);
}

const LIST = { ...JSON_ARRAY, before: '{"files":[', after: '],"next_cursor":null}' };

function listRoute(app: FastifyInstance, deps: FileDeps): void {
  const { engine } = deps;
  const schema = {
    tags,
    summary: 'Lists files and unfinished uploads by name: all of them or, with limit, one page.',
    querystring: ListQuery,
    response: { 200: FileList },
    documented: { replies: { 200: ['Cache-Control'] }, errors: [...SIGNED_IN, 'forbidden'] },
  } satisfies FastifySchema;
  // Older programs send the slash.
  for (const [url, shown] of [
    ['/api/files', schema],
    ['/api/files/', { ...schema, hide: true }],
  ] as const) {
    app.get<{ Querystring: ListQuery }>(url, {
      schema: shown,
      config: { needs: 'files:read' },
      handler: async (request, reply) => {
        const { limit, cursor, status = null, prefix = '', owner } = request.query;
        reply.header('cache-control', 'no-store');
        const listing = authorizeList(deps, request, owner);
        const page = (after: string | null, maxFiles: number): ReturnType<Engine['list']> => {
          const pageQuery = { owner: listing.owner, prefix, cursor: after, limit: maxFiles, status };
          return listing.granted ? listGranted(engine, listing.granted, pageQuery) : engine.list(pageQuery);
        };
        const start = decodeCursor(cursor);
        if (limit !== undefined) {
          const { files, next_cursor: next } = await page(start, limit);
          return { files, next_cursor: encodeCursor(next) };
        }
        const pages = pagesOf(async (after: string | null) => {
          const { files, next_cursor: next } = await page(after, WHOLE_LIST_STEP);
          return { items: files, next };
        }, start);
        reply.type('application/json; charset=utf-8');
        return wholeList(pages, { ...LIST, isAuthorized: listing.isAuthorized });
      },
    });
  }
}

function deleteRoute(app: FastifyInstance, { engine, quotas }: FileDeps): void {
  app.delete<{ Params: Named['Params']; Querystring: DeleteQuery }>('/api/files/*', {
    schema: {
      tags,
      summary: 'Deletes a file and any unfinished upload of its name or, with upload=only, only the upload.',
      params: nameParameter,
      querystring: DeleteQuery,
      response: { 200: Deleted },
      documented: { request: PRECONDITIONS, errors: [...OF_A_NAME, 'precondition_failed'] },
    },
    config: { needs: 'files:delete', audit: 'file_deleted' },
    handler: async (request): Promise<Deleted> => {
      const name = checkName(request.params['*']);
      const owner = ownerOf(request.principal, request.query.owner, 'files:delete');
      const tenant = quotas.groupOf(owner);
      const precondition = preconditionOf(request);
      request.audited = { tenant };
      const { id } = request.query;
      if (id !== undefined && request.query.upload !== 'only')
        throw new LadingError(
          'invalid_request',
          'The parameter id names an unfinished upload. Send it with upload=only.',
        );
      if (request.query.upload === 'only') {
        await engine.cancel(owner, name, precondition, id);
        request.audited = { tenant, action: 'upload_cancelled' };
        return { detail: `Cancelled the upload of ${name}.`, removed: ['upload'] };
      }
      const removed = await engine.remove(owner, name, precondition);
      if (!removed.includes('file')) request.audited = { tenant, action: 'upload_cancelled' };
      const what = removed.map((one) => (one === 'file' ? name : `the unfinished upload of ${name}`));
      return { detail: `Deleted ${what.join(' and ')}.`, removed };
    },
  });
}

function completeRoute(app: FastifyInstance, { engine }: FileDeps): void {
  app.post<Named>('/api/files/complete/*', {
    schema: {
      tags,
      summary: 'Completes an upload of undeclared size.',
      params: nameParameter,
      querystring: OwnerQuery,
      response: { 200: FileStatus },
      documented: {
        request: PRECONDITIONS,
        errors: [...OF_A_NAME, 'not_contiguous', 'digest_mismatch', 'precondition_failed'],
      },
    },
    config: { needs: 'files:write' },
    handler: async (request): Promise<FileStatus> =>
      engine.complete(
        ownerOf(request.principal, request.query.owner, 'files:write'),
        checkName(request.params['*']),
        preconditionOf(request),
      ),
  });
}

function verifyRoute(app: FastifyInstance, { engine }: FileDeps): void {
  app.post<Named>('/api/files/verify/*', {
    schema: {
      tags,
      summary: 'Reads a stored file and compares it with the checksums that were recorded when it arrived.',
      params: nameParameter,
      querystring: OwnerQuery,
      response: { 200: FileVerified },
      documented: { errors: OF_A_NAME },
    },
    config: { needs: 'files:read' },
    handler: async (request): Promise<FileVerified> =>
      engine.verify(ownerOf(request.principal, request.query.owner), checkName(request.params['*'])),
  });
}
