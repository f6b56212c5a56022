/** POST /api/sweep: administrators of the whole server run the hourly clean-up now. */
import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { Engine } from '../../../engine/engine.ts';
import type { Identity } from '../../../identity/directory/identity.ts';
import { requireServerRole } from '../../../identity/rights/policy.ts';
import { SIGNED_IN } from '../../request/documented.ts';

/** What these routes need from the server. */
export interface SweepDeps {
  engine: Engine;
  identity: Identity;
}

const Swept = Type.Object(
  {
    removed: Type.Integer({ minimum: 0, description: 'Parked uploads that were removed.' }),
    sealed: Type.Integer({ minimum: 0, description: 'Contiguous uploads of undeclared size that were sealed.' }),
    parked: Type.Optional(Type.Integer({ minimum: 1, description: 'Uploads that were parked; absent if it is 0.' })),
  },
  { title: 'Swept' },
);
type Swept = Static<typeof Swept>;

/** Registers the route of the clean-up. */
export function adminRoutes(app: FastifyInstance, { engine, identity }: SweepDeps): void {
  app.post('/api/sweep', {
    schema: {
      tags: ['Administration'],
      summary:
        'Parks stale uploads, removes expired ones and seals finished ones of undeclared size, on the whole server. With several tenants, requires the role root.',
      response: { 200: Swept },
      documented: { errors: [...SIGNED_IN, 'insufficient_scope'] },
    },
    config: { needs: 'role:admin', audit: 'swept' },
    handler: async (request): Promise<Swept> => {
      requireServerRole(request.principal, 'admin', identity.tenants.hasSeveral);
      const swept = await engine.sweep();
      const { removed, sealed, parked = 0 } = swept;
      request.audited = { target: 'uploads', detail: `parked ${parked}; removed ${removed}; sealed ${sealed}` };
      return swept;
    },
  });
}
