/** Share links at `/s/`: anyone who has the link may download its file. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../errors.ts';
import type { Audit } from '../../identity/audit.ts';
import type { Requester } from '../../identity/limits/fair-queue.ts';
import type { Throttle } from '../../identity/limits/throttle.ts';
import { ForeignQuery } from '../../protocol/schemas/parts.ts';
import type { ShareDocument } from '../../records/sharing.ts';
import { basicCredentials } from '../access/bearer.ts';
import { type DownloadDeps, downloadSchema } from '../native/download.ts';
import { fileSender } from '../native/file-sender.ts';
import { type ProblemReply, problemReply } from '../problems/problems.ts';
import { WORKING } from '../request/documented.ts';
import type { PathRules } from '../request/path-rules.ts';

/** What these routes need from the server. */
export interface SharedFileDeps extends DownloadDeps {
  audit: Audit;
  throttle: Throttle;
}

/** Rules for the paths of links, which contain the token. */
export const SHARE_PATHS: PathRules = {
  folder: '/s/',
  anyOrigin: /^\/s\//,
  redact: (path) => path.replace(/^\/*(?:s|%73)\/+[^/]*/i, '/s/…'),
};

const tags = ['Sharing'];

/** The route of share links, GET and HEAD. It needs no sign-in. */
export function sharedFileRoute(app: FastifyInstance, deps: SharedFileDeps): void {
  const { identity, audit } = deps;
  const send = fileSender(app, deps);
  app.route<{ Params: { token: string } }>({
    method: ['GET', 'HEAD'],
    url: '/s/:token',
    schema: {
      ...downloadSchema,
      tags,
      summary: 'Downloads a shared file, or ranges of it. If the link has a password, send it with HTTP Basic.',
      description:
        'The user name is ignored. HEAD and prefetches do not count as downloads. Ranges that make up the file count as one ' +
        'download. For each download, the size of the file may be read again in ranges; beyond that, a Range returns the whole file.',
      security: [{}, { basic: [] }],
      params: Type.Object({ token: Type.String({ description: 'The token of the link.' }) }),
      // Messengers and mail programs add parameters to links.
      querystring: ForeignQuery,
      documented: {
        ...downloadSchema.documented,
        errors: [
          'unauthorized',
          'rate_limited',
          ...WORKING,
          'not_found',
          'precondition_failed',
          'range_not_satisfiable',
          'insufficient_storage',
        ],
      },
    },
    config: { frequent: true, secretPath: true, refusal: basicRefusal },
    handler: async (request, reply) => {
      const share = identity.shares.findByToken(request.params.token);
      if (!share || !isValid(deps, share)) throw noShare();
      const { id, tenant, owner, name, fileId } = share;
      request.audited = { target: `share ${id}`, tenant };
      // A prefetched file may never be opened. Browsers request it again when it is.
      if (share.maxDownloads !== null && isPrefetch(request)) throw noPrefetch();
      if (share.passwordHash !== null) await checkSharePassword(deps, request, share);
      reply.headers({ 'referrer-policy': 'no-referrer', 'x-robots-tag': 'noindex' });
      return send(
        {
          owner,
          name,
          id: fileId,
          isAuthorized: () => isValid(deps, share),
          reserve: async (extents, ranged) => {
            const { ip: address, id: requestId } = request;
            const reservation = await identity.shares.reserve(id, extents, ranged, address);
            if (!reservation) throw noShare();
            const who = { principal: null, tenant, address, requestId };
            audit.recordAggregated({
              action: 'share_used',
              outcome: 'ok',
              ...who,
              target: `share ${id}`,
              detail: name,
            });
            return reservation;
          },
        },
        request,
        reply,
      );
    },
  });
}

/** True for a prefetch (Fetch, `Sec-Purpose`; older browsers send `Purpose` or `X-Moz`). */
function isPrefetch({ method, headers }: FastifyRequest): boolean {
  if (method === 'HEAD') return false;
  const purposes = [headers['sec-purpose'], headers.purpose, headers['x-purpose'], headers['x-moz']].flat();
  return purposes.some((value) => /\b(?:prefetch|prerender|preview)\b/i.test(value ?? ''));
}

function noPrefetch(): LadingError {
  return new LadingError('overloaded', 'This link counts downloads, so it cannot be prefetched.', {
    retry_after: 1,
  });
}

/** True while the link is valid and its creator may still read the file. */
function isValid({ identity }: SharedFileDeps, { id, maker, owner }: ShareDocument): boolean {
  return identity.shares.isLive(id) && identity.mayStillRead(maker, owner);
}

/** @throws LadingError `unauthorized`, `rate_limited` */
async function checkSharePassword(
  { identity, throttle }: SharedFileDeps,
  request: FastifyRequest,
  share: ShareDocument,
): Promise<void> {
  const credentials = basicCredentials(request.headers.authorization);
  if (!credentials)
    throw new LadingError('unauthorized', 'This link requires a password. Send it with HTTP Basic and any user name.');
  const verify = async (requester: Requester): Promise<ShareDocument | null> =>
    (await identity.shares.isPasswordOf(share, credentials.secret, requester)) ? share : null;
  const correct = await throttle.attempt(`share:${share.id}`, request.ip, verify, { chosen: true });
  if (!correct) throw new LadingError('unauthorized', 'The password of this link is wrong.');
}

/** The same error for every reason, so that it reveals nothing about the link. */
function noShare(): LadingError {
  return new LadingError('not_found', 'The link does not exist, has expired, or has no downloads left.');
}

/** Makes browsers ask for the password. */
function basicRefusal(...of: Parameters<typeof problemReply>): ProblemReply {
  const reply = problemReply(...of);
  if (reply.status !== 401) return reply;
  return { ...reply, headers: { ...reply.headers, 'www-authenticate': 'Basic realm="shared file", charset="UTF-8"' } };
}
