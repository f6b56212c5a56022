/**
 * Pages of other sites (CORS). They may do what their token may: no cookie counts for them, so none is let through, and any site may ask.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';

/** Fields that such a page may send. */
const ALLOWED = [
  'Authorization',
  'Content-Type',
  'Content-Disposition',
  'Tus-Resumable',
  'Upload-Length',
  'Upload-Offset',
  'Upload-Metadata',
  'Upload-Defer-Length',
  'Upload-Concat',
  'Upload-Checksum',
  'Upload-Complete',
  'Upload-Limit',
  'Upload-Draft-Interop-Version',
  'Content-Digest',
  'Repr-Digest',
  'Want-Content-Digest',
  'Want-Repr-Digest',
  'Range',
  'If-Range',
  'If-Match',
  'If-None-Match',
  'X-HTTP-Method-Override',
  'X-Request-ID',
  'X-Requested-With',
].join(', ');
/** …and read. */
const EXPOSED = [
  'Location',
  'Upload-Offset',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Defer-Length',
  'Upload-Expires',
  'Upload-Concat',
  'Upload-Complete',
  'Upload-Limit',
  'Upload-Draft-Interop-Version',
  'Tus-Resumable',
  'Tus-Version',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Checksum-Algorithm',
  'Accept-Patch',
  'Accept-Ranges',
  'Content-Disposition',
  'Content-Digest',
  'Content-Range',
  'ETag',
  'Repr-Digest',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'X-Request-Id',
].join(', ');

/** Of every answer, refusals included. */
export function openToPages(reply: FastifyReply): void {
  reply.header('access-control-allow-origin', '*').header('access-control-expose-headers', EXPOSED);
}

/** The answer to a browser that asks whether it may (preflight). */
export function preflightFields(reply: FastifyReply, methods: string): void {
  reply.header('access-control-allow-methods', methods).header('access-control-allow-headers', ALLOWED);
  reply.header('access-control-max-age', '86400');
}

/** What is read of files; what is uploaded has doors of its own. */
const READ = ['/api/files/download/*', '/api/files/status/*', '/api/files', '/s/:token'];

/** Lets pages of other sites read files. Preflights need no sign-in. */
export function readableByPages(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, next) => {
    const { url } = request.routeOptions;
    if (url !== undefined && READ.includes(url)) openToPages(reply);
    next();
  });
  for (const url of READ) {
    app.options(url, { schema: { hide: true } }, (_request, reply) => {
      preflightFields(reply, 'GET, HEAD, OPTIONS');
      return reply.code(204).send();
    });
  }
}
