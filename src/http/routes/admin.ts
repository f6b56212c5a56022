/** POST /api/sweep: what the clock does every hour, now. For administrators of the whole server. */
import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { requireServer } from '../../identity/policy.ts';
import type { RouteDeps } from '../deps.ts';
import { SIGNED_IN } from '../documented.ts';

const Swept = Type.Object(
  {
    removed: Type.Integer({ minimum: 0, description: 'Stale uploads removed.' }),
    sealed: Type.Integer({ minimum: 0, description: 'Covered files of undeclared size that were sealed.' }),
  },
  { title: 'Swept' },
);
type Swept = Static<typeof Swept>;

export function adminRoutes(app: FastifyInstance, { engine, identity }: RouteDeps): void {
  app.post('/api/sweep', {
    schema: {
      tags: ['Administration'],
      summary:
        'Removes stale uploads and seals finished ones of undeclared size now: of the whole server, so for root where there are several tenants.',
      response: { 200: Swept },
      documented: { errors: [...SIGNED_IN, 'insufficient_scope'] },
    },
    config: { needs: 'role:admin' },
    handler: async ({ principal }): Promise<Swept> => {
      requireServer(principal, 'admin', identity.tenants.several);
      return engine.sweep();
    },
  });
}
