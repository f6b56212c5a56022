/** GET /api/token/verify: a client checks its own token. */
import type { FastifyInstance } from 'fastify';
import type { Identity } from '../../identity/directory/identity.ts';
import { hasRole } from '../../identity/rights/policy.ts';
import { namesOf } from '../../identity/subjects/names.ts';
import { Verified } from '../../protocol/schemas/identity/oauth.ts';
import { recorderRefusal } from '../problems/recorder-refusals.ts';
import { SIGNED_IN } from '../request/documented.ts';

/** What this route needs from the server. */
export interface VerifyTokenDeps {
  identity: Identity;
}

/** Registers the route. */
export function verifyRoute(app: FastifyInstance, { identity }: VerifyTokenDeps): void {
  app.get('/api/token/verify', {
    schema: {
      tags: ['Clients'],
      summary: 'Verifies a token and returns its principal.',
      response: { 200: Verified },
      documented: { replies: { 200: ['Cache-Control'] }, errors: SIGNED_IN },
    },
    config: { needs: 'sign-in', refusal: recorderRefusal },
    handler: async ({ principal }, reply): Promise<Verified> => {
      reply.header('cache-control', 'no-store');
      const { id, role, tenant, kind, scopes } = principal;
      const names = namesOf(identity, id);
      const shown = { client_id: id, names, role, tenant, kind, scopes: [...scopes], whole: hasRole(principal) };
      return { status: 'success', message: 'The token is valid.', ...shown };
    },
  });
}
