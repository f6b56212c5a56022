/**
 * Players: files for the media elements of pages. A signed-in person requests permission to play one file. The browser keeps it as a
 * cookie that no script can read, and sends it only to the address of the player.
 */
import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { LadingError } from '../../errors.ts';
import type { Quotas } from '../../identity/quotas.ts';
import { PLAYER_SECONDS, type Players } from '../../identity/sharing/players.ts';
import { checkName } from '../../protocol/names.ts';
import { OwnerQuery } from '../../protocol/schemas/files.ts';
import { Message } from '../../protocol/schemas/parts.ts';
import { Player } from '../../protocol/schemas/player.ts';
import { iso } from '../../protocol/times.ts';
import { authorizeRead } from '../access/authorize-read.ts';
import { completeFile } from '../access/authorize-share.ts';
import { authorizationOf } from '../access/bearer.ts';
import { type DownloadDeps, downloadSchema } from '../native/download.ts';
import { fileSender } from '../native/file-sender.ts';
import { PLAYER_COOKIE } from '../request/cookies.ts';
import { refuseForeign, wantsSecureCookies } from '../request/csrf.ts';
import { SIGNED_IN, WORKING } from '../request/documented.ts';
import { nameParameter } from '../request/parameters.ts';

/** What these routes need from the server. */
export interface PlayerDeps extends DownloadDeps {
  quotas: Quotas;
}

const tags = ['Files'];
const PATH = '/api/players';

const playerId = Type.Object({ player_id: Type.String({ description: 'The id of the player.' }) });

/** Registers the routes that need a sign-in. */
export function playerRoutes(app: FastifyInstance, deps: PlayerDeps, players: Players): void {
  openRoute(app, deps, players);
  endRoute(app, players);
}

function openRoute(app: FastifyInstance, deps: PlayerDeps, players: Players): void {
  app.post<{ Params: { '*': string }; Querystring: OwnerQuery }>('/api/files/player/*', {
    schema: {
      tags,
      summary: 'Sets a cookie with which media elements of this browser can read a complete file for 15 minutes.',
      description:
        `For pages: <audio> and <video> cannot send a token. The cookie is valid only for the URL in the reply. It ends with the ` +
        `session, or after ${PLAYER_SECONDS / 60} minutes. A player is not a share link and is not listed.`,
      params: nameParameter,
      querystring: OwnerQuery,
      response: { 201: Player },
      documented: {
        replies: { 201: ['Cache-Control', 'Set-Cookie'] },
        errors: [...SIGNED_IN, 'forbidden', 'invalid_name', 'not_found', 'not_complete'],
        storesNothing: true,
      },
    },
    config: { needs: 'files:read', guarded: 'downloads', audit: 'player_opened', frequent: true },
    handler: async (request, reply): Promise<Player> => {
      // The reply sets a cookie.
      refuseForeign(request);
      const name = checkName(request.params['*']);
      const { owner, isAuthorized = authorizationOf(deps, request) } = authorizeRead(
        deps,
        request,
        request.query.owner,
        name,
      );
      const { id: fileId } = await completeFile(deps, owner, name);
      const principal = keyOf(request);
      request.audited = { tenant: deps.quotas.groupOf(owner) };
      const { id, secret } = players.open({ principal, owner, name, fileId, isAuthorized });
      setCookie(request, reply, id, secret);
      reply.code(201).header('cache-control', 'no-store');
      const expires = iso(deps.clock.now() + PLAYER_SECONDS * 1000);
      return { player_id: id, filename: name, url: request.site.path(`${PATH}/${id}`), expires_at: expires };
    },
  });
}

function endRoute(app: FastifyInstance, players: Players): void {
  app.delete<{ Params: { player_id: string } }>(`${PATH}/:player_id`, {
    schema: {
      tags,
      summary: 'Ends the permission to play a file and its running downloads.',
      params: playerId,
      response: { 200: Message },
      documented: { errors: [...SIGNED_IN, 'not_found'], storesNothing: true },
    },
    config: { needs: 'files:read' },
    handler: async (request): Promise<Message> => {
      if (!players.end(request.params.player_id, keyOf(request))) throw noPlayer();
      return { message: 'The permission to play the file has ended.' };
    },
  });
}

/** Registers the route for the browser that has the cookie. */
export function playedFileRoute(app: FastifyInstance, deps: PlayerDeps, players: Players): void {
  const send = fileSender(app, deps);
  app.route<{ Params: { player_id: string } }>({
    method: ['GET', 'HEAD'],
    url: `${PATH}/:player_id`,
    schema: {
      ...downloadSchema,
      tags,
      summary: 'Downloads a file, or ranges of it, for the media elements of the browser that has the cookie.',
      description: `POST /api/files/player/{filename} sets the cookie ${PLAYER_COOKIE}.`,
      security: [{ player: [] }],
      params: playerId,
      querystring: Type.Object({}),
      documented: {
        ...downloadSchema.documented,
        errors: [...WORKING, 'rate_limited', 'not_found', 'precondition_failed', 'range_not_satisfiable'],
      },
    },
    config: { frequent: true },
    handler: async (request, reply) => {
      const secret = fastifyCookie.parse(request.headers.cookie ?? '')[PLAYER_COOKIE];
      const player = secret === undefined ? null : players.find(request.params.player_id, secret);
      if (!player) throw noPlayer();
      const { owner, name, fileId: id } = player;
      reply.header('cross-origin-resource-policy', 'same-origin');
      return send({ owner, name, id, isAuthorized: () => players.isValid(player) }, request, reply);
    },
  });
}

function keyOf({ principal: { kind, tenant, id } }: FastifyRequest): string {
  return `${kind} ${tenant} ${id}`;
}

function setCookie(request: FastifyRequest, reply: FastifyReply, id: string, secret: string): void {
  const options = {
    path: request.site.path(`${PATH}/${id}`),
    httpOnly: true,
    sameSite: 'strict',
    secure: wantsSecureCookies(request),
    maxAge: PLAYER_SECONDS,
  } as const;
  reply.header('set-cookie', fastifyCookie.serialize(PLAYER_COOKIE, secret, options));
}

/** The same error for every reason. */
function noPlayer(): LadingError {
  return new LadingError('not_found', 'This player URL is unknown or has expired. Request a new one.');
}
