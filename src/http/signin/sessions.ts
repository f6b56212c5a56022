/** /v1/auth/sessions: clients and people list and end their sessions. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Clock } from '../../contracts/clock.ts';
import { LadingError } from '../../errors.ts';
import type { Tokens } from '../../identity/access-tokens.ts';
import type { Identity } from '../../identity/directory/identity.ts';
import { requireFullRoleOrScope } from '../../identity/rights/policy.ts';
import { type Session, SessionList } from '../../protocol/schemas/identity/account.ts';
import { Message } from '../../protocol/schemas/parts.ts';
import { iso } from '../../protocol/times.ts';
import type { SessionDocument } from '../../records/credentials.ts';
import type { Subject } from '../../records/principal.ts';
import { credentialOf } from '../access/bearer.ts';
import { endSessionOf } from '../access/sign-in.ts';
import { auditChange } from '../observe/audit-change.ts';
import { SIGNED_IN } from '../request/documented.ts';

/** What these routes need from the server. */
export interface SessionRouteDeps {
  identity: Identity;
  clock: Clock;
  tokens: Tokens;
}

const tags = ['Sessions'];

/** Registers the routes of sessions. */
export function sessionRoutes(app: FastifyInstance, deps: SessionRouteDeps): void {
  const { sessions } = deps.identity;
  app.get('/v1/auth/sessions', {
    schema: {
      tags,
      summary: 'Lists your active sessions.',
      response: { 200: SessionList },
      documented: { replies: { 200: ['Cache-Control'] }, errors: ['forbidden', ...SIGNED_IN] },
    },
    config: { needs: 'sign-in' },
    handler: async (request, reply): Promise<SessionList> => {
      const { subject, current } = ownerOf(deps, request);
      reply.header('cache-control', 'no-store');
      return { sessions: sessions.listOf(subject).map((session) => shown(session, current, deps.clock)) };
    },
  });
  app.delete('/v1/auth/sessions', {
    schema: {
      tags,
      summary: 'Ends all your sessions, including this one.',
      response: { 200: Message },
      documented: { errors: ['forbidden', 'insufficient_scope', ...SIGNED_IN] },
    },
    config: { needs: 'sign-in', audit: 'session_ended' },
    handler: async (request): Promise<Message> => {
      const { subject } = ownerOf(deps, request);
      requireFullRoleOrScope(request.principal, 'users:admin');
      request.audited = { principal: request.principal, target: subject.id };
      auditChange(request, { sessions: 'open' }, { sessions: 'ended' });
      await sessions.endAllOf(subject);
      // A token without a session is revoked too.
      await endSessionOf(deps, credentialOf(request) ?? '');
      return { message: 'All sessions have ended.' };
    },
  });
  app.delete<{ Params: { session_id: string } }>('/v1/auth/sessions/:session_id', {
    schema: {
      tags,
      summary: 'Ends a session. Its tokens become invalid at once, and its running transfers end.',
      params: Type.Object({ session_id: Type.String() }),
      response: { 200: Message },
      documented: {
        errors: ['forbidden', 'insufficient_scope', 'not_found', ...SIGNED_IN],
      },
    },
    config: { needs: 'sign-in', audit: 'session_ended' },
    handler: async (request): Promise<Message> => {
      const { subject, current } = ownerOf(deps, request);
      const { session_id: id } = request.params;
      // A token with reduced scopes may end only its own session.
      if (id !== current) requireFullRoleOrScope(request.principal, 'users:admin');
      const session = sessions.listOf(subject).find((one) => one.id === id);
      if (!session) {
        throw new LadingError('not_found', 'There is no such session.');
      }
      await sessions.end(id);
      auditChange(request, { session: 'open', agent: session.agent }, { session: 'ended' });
      return { message: 'The session has ended.' };
    },
  });
}

/**
 * The owner of the sessions, and the id of the current session if the token has one.
 * @throws LadingError `forbidden`
 */
function ownerOf(
  { tokens }: SessionRouteDeps,
  request: FastifyRequest,
): { subject: Subject; current: string | undefined } {
  const { id, kind } = request.principal;
  if (kind === 'token') throw new LadingError('forbidden', 'API tokens have no sessions. Sign in to do this.');
  const { claims } = tokens.inspect(credentialOf(request) ?? '');
  return { subject: { id, kind }, current: claims.sid };
}

function shown(
  { id, createdAt, renewedAt, expiresAt, agent }: SessionDocument,
  current: string | undefined,
  clock: Clock,
): Session {
  const date = (moment: number): string => iso(clock.dateOf(moment));
  return {
    id,
    created_at: date(createdAt),
    renewed_at: renewedAt === undefined ? null : date(renewedAt),
    expires_at: date(expiresAt),
    user_agent: agent ?? null,
    current: id === current,
  };
}
