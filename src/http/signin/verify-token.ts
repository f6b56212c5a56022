/** GET /api/token/verify, for callers that hold the token itself. */
import type { FastifyInstance } from 'fastify';
import { hasRole } from '../../identity/rights/policy.ts';
import { Verified } from '../../protocol/schemas/identity/oauth.ts';
import { recorderRefusal } from '../problems/recorder-refusals.ts';
import { SIGNED_IN } from '../request/documented.ts';

export function verifyRoute(app: FastifyInstance): void {
  app.get('/api/token/verify', {
    schema: {
      tags: ['Clients'],
      summary: 'Whose token this is, if it is valid.',
      response: { 200: Verified },
      documented: { replies: { 200: ['Cache-Control'] }, errors: SIGNED_IN },
    },
    config: { needs: 'sign-in', refusal: recorderRefusal },
    handler: async ({ principal }, reply): Promise<Verified> => {
      reply.header('cache-control', 'no-store');
      const { id, role, tenant, kind, scopes } = principal;
      const shown = { client_id: id, role, tenant, kind, scopes: [...scopes], whole: hasRole(principal) };
      return { status: 'success', message: 'The token is valid.', ...shown };
    },
  });
}
