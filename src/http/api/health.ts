/** Liveness and readiness. Neither needs a sign-in, and both are cheap, because load balancers poll them every second. */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { Health } from '../../protocol/schemas/health.ts';
import { WORKING } from '../request/documented.ts';

/** What these routes need from the server. */
export interface HealthDeps {
  /** Phase of the server. */
  state(): 'starting' | 'ready' | 'stopping';
  /** State of the data directory. */
  storage(): 'ok' | 'full' | 'unwritable' | 'lost';
}

/** Why the data directory is not ready. */
const STORAGE_PROBLEMS = {
  ok: null,
  full: 'The disk is full. Files can be read and deleted, but not stored. Delete files or enlarge the disk.',
  unwritable: 'The data directory cannot be written. Check the disk, its mount options and the permissions.',
  lost: 'The data directory was moved, unmounted or replaced.',
} as const;

/** Registers the routes of liveness and readiness. */
export function healthRoutes(app: FastifyInstance, { state, storage }: HealthDeps): void {
  const tags = ['Health'];
  for (const path of ['/health', '/api/health']) {
    app.get(path, {
      schema: { tags, summary: 'Reports that the process is alive.', security: [], response: { 200: Health } },
      config: { frequent: true, unlimited: true },
      handler: async () => ({ status: 'healthy' }),
    });
  }
  app.get('/ready', {
    schema: {
      tags,
      summary: 'Reports whether the server accepts requests.',
      security: [],
      response: { 200: Health },
      documented: { errors: WORKING },
    },
    config: { frequent: true, unlimited: true },
    handler: async () => {
      const phase = state();
      if (phase === 'ready') {
        const problem = STORAGE_PROBLEMS[storage()];
        if (problem !== null) throw new LadingError('overloaded', problem, { retry_after: 5 });
        return { status: 'healthy' };
      }
      if (phase === 'starting') throw new LadingError('overloaded', 'The server is starting.', { retry_after: 1 });
      throw new LadingError('shutting_down', 'The server is shutting down.', { retry_after: 5 });
    },
  });
}
