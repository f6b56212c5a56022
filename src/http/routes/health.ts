/** Is the process alive, and may it be sent work. Both open and cheap, for load balancers ask every second. */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { Health } from '../../protocol/schemas.ts';
import type { RouteDeps } from '../deps.ts';
import { WORKING } from '../documented.ts';

export function healthRoutes(app: FastifyInstance, { state }: RouteDeps): void {
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
      summary: 'The server takes requests.',
      security: [],
      response: { 200: Health },
      documented: { errors: WORKING },
    },
    config: { frequent: true, unlimited: true },
    handler: async () => {
      const now = state();
      if (now === 'ready') return { status: 'healthy' };
      if (now === 'starting') throw new LadingError('overloaded', 'The server is starting.', { retry_after: 1 });
      throw new LadingError('shutting_down', 'The server is shutting down.', { retry_after: 5 });
    },
  });
}
