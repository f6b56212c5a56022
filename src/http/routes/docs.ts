/** The OpenAPI document, made from the schemas that validate, and a page to read it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

/** Register it before the routes that it is to describe. */
export const openapi = fp(
  async (app) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Lading',
          description: 'Resumable chunked file transfer. Errors are application/problem+json (RFC 9457).',
          version: '1',
        },
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
            basic: { type: 'http', scheme: 'basic' },
          },
        },
        security: [{ bearer: [] }],
      },
    });
  },
  { name: 'lading-openapi' },
);

export function docRoutes(app: FastifyInstance): void {
  app.get('/openapi.json', {
    schema: { hide: true },
    handler: async (_request, reply) => reply.type('application/json').send(JSON.stringify(app.swagger())),
  });
  app.register(swaggerUi, { routePrefix: '/docs', uiConfig: { deepLinking: false, persistAuthorization: true } });
}
