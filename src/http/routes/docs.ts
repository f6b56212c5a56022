/** The OpenAPI document and a page to read it. Both open: they say nothing that the README does not. */
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

export function docRoutes(app: FastifyInstance): void {
  app.get('/openapi.json', {
    schema: { hide: true },
    handler: async (_request, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())),
  });
  app.register(swaggerUi, { routePrefix: '/docs', uiConfig: { deepLinking: false } });
}
