/** POST /api/sweep: what the clock does every hour, now. For administrators of the whole server. */
import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { requireServer } from '../../identity/policy.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN } from '../documented.ts';

const Swept = Type.Object(
  {
    removed: Type.Integer({ minimum: 0, description: 'Uploads that were parked for long, removed.' }),
    sealed: Type.Integer({ minimum: 0, description: 'Covered files of undeclared size that were sealed.' }),
    parked: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Uploads that nothing came for, parked; absent when there were none.' }),
    ),
  },
  { title: 'Swept' },
);
type Swept = Static<typeof Swept>;

export function adminRoutes(app: FastifyInstance, { engine, identity }: RouteDeps): void {
  app.post('/api/sweep', {
    schema: {
      tags: ['Administration'],
      summary:
        'Parks stale uploads, removes those parked for long and seals finished ones of undeclared size now: of the whole server, so for root where there are several tenants.',
      response: { 200: Swept },
      documented: { errors: [...SIGNED_IN, 'insufficient_scope'] },
    },
    config: { needs: 'role:admin', audit: 'swept' },
    handler: async (request): Promise<Swept> => {
      requireServer(request.principal, 'admin', identity.tenants.several);
      const swept = await engine.sweep();
      const { removed, sealed, parked = 0 } = swept;
      request.audited = { target: 'uploads', detail: `parked ${parked}; removed ${removed}; sealed ${sealed}` };
      return swept;
    },
  });
}
