/** Liveness and readiness. Both need no sign-in and are cheap, because load balancers poll them every second. */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { Health } from '../../protocol/schemas/health.ts';
import { WORKING } from '../request/documented.ts';

/** What these routes need from the server. */
export interface HealthDeps {
  state(): 'starting' | 'ready' | 'stopping';
  storage(): 'ok' | 'full' | 'unwritable' | 'lost';
}

/** Why the data directory is not ready. */
const TROUBLE = {
  ok: null,
  full: 'The disk is full. Files can be read and deleted, but not stored. Make room or delete files.',
  unwritable: 'The data directory cannot be written. Check the disk, how it is mounted, and the permissions.',
  lost: 'The data directory was moved, unmounted or replaced.',
} as const;

export function healthRoutes(app: FastifyInstance, { state, storage }: HealthDeps): void {
  const tags = ['Health'];
  for (const path of ['/health', '/api/health']) {
    app.get(path, {
      schema: { tags, summary: 'The process is alive.', security: [], response: { 200: Health } },
      config: { frequent: true, unlimited: true },
      handler: async () => ({ status: 'healthy' }),
    });
  }
  app.get('/ready', {
    schema: {
      tags,
      summary: 'The server accepts requests.',
      security: [],
      response: { 200: Health },
      documented: { errors: WORKING },
    },
    config: { frequent: true, unlimited: true },
    handler: async () => {
      const now = state();
      if (now === 'ready') {
        const trouble = TROUBLE[storage()];
        if (trouble !== null) throw new LadingError('overloaded', trouble, { retry_after: 5 });
        return { status: 'healthy' };
      }
      if (now === 'starting') throw new LadingError('overloaded', 'The server is starting.', { retry_after: 1 });
      throw new LadingError('shutting_down', 'The server is shutting down.', { retry_after: 5 });
    },
  });
}
