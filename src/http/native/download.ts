/** GET and HEAD /api/files/download/{filename}: sends stored bytes by RFC 9110 §13 and §14, or a file while it arrives. */
import type { FastifyInstance, FastifySchema } from 'fastify';
import type { Identity } from '../../identity/directory/identity.ts';
import { checkName } from '../../protocol/names.ts';
import { DownloadQuery } from '../../protocol/schemas/files.ts';
import { authorizeRead } from '../access/authorize-read.ts';
import { SIGNED_IN } from '../request/documented.ts';
import { nameParameter } from '../request/parameters.ts';
import { type FileSenderDeps, fileSender } from './file-sender.ts';
import { Binary } from './form-file-schema.ts';

/** What these routes need from the server. */
export interface DownloadDeps extends FileSenderDeps {
  identity: Identity;
}

interface Download {
  Params: { '*': string };
  Querystring: DownloadQuery;
}

const bytes = { schema: Binary };
/** The response has the media type of the file. */
const binary = { 'application/octet-stream': bytes, '*/*': bytes };
const ranges = { ...binary, 'multipart/byteranges': bytes };

/** Fields of a 200, a 206 and a 304. */
const validatorFields = ['Accept-Ranges', 'Cache-Control', 'ETag', 'Last-Modified'] as const;
const contentFields = [...validatorFields, 'Content-Disposition', 'Content-Length'] as const;

/** Schema of the routes that send the bytes of a file. */
export const downloadSchema = {
  tags: ['Files'],
  summary: 'Downloads a file, whole or by ranges, also while it is being uploaded.',
  description:
    'Range (one, several, open, suffix), If-Range, If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since as in RFC 9110. ' +
    'A range of an unfinished file is sent if all its bytes were received. With follow=true the whole file is sent as it arrives.',
  params: nameParameter,
  querystring: DownloadQuery,
  response: {
    200: { description: 'The whole file', content: binary },
    206: { description: 'The range, or several as multipart/byteranges', content: ranges },
    304: { description: 'Not modified', type: 'null' },
  },
  documented: {
    request: [
      'Range',
      'If-Range',
      'If-Match',
      'If-None-Match',
      'If-Modified-Since',
      'If-Unmodified-Since',
      'Want-Repr-Digest',
      'Want-Content-Digest',
    ],
    replies: {
      200: [...contentFields, 'Repr-Digest', 'Content-Digest'],
      206: [...contentFields, 'Content-Range', 'Repr-Digest', 'Content-Digest'],
      304: validatorFields,
    },
    errors: [
      ...SIGNED_IN,
      'forbidden',
      'invalid_name',
      'not_found',
      'not_complete',
      'precondition_failed',
      'range_not_satisfiable',
    ],
  },
} satisfies FastifySchema;

export function downloadRoutes(app: FastifyInstance, deps: DownloadDeps): void {
  const send = fileSender(app, deps);
  app.route<Download>({
    method: ['GET', 'HEAD'],
    url: '/api/files/download/*',
    schema: downloadSchema,
    config: { frequent: true, needs: 'files:read', guarded: 'downloads' },
    handler: async (request, reply) => {
      const name = checkName(request.params['*']);
      const reading = authorizeRead(deps, request, request.query.owner, name);
      return send({ ...reading, name, follow: request.query.follow === true }, request, reply);
    },
  });
}
