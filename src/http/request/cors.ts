/**
 * CORS, for pages of other origins. The origin determines one of two policies:
 *
 *     origin in LADING_ALLOWED_ORIGINS     every route, with cookies
 *     any other origin                     routes that transfer files, without cookies: the page needs a token
 *
 * `*` in the list opens every route to all origins, without cookies.
 */
import type { IncomingMessage } from 'node:http';
import { type FastifyCorsOptions, type FastifyCorsOptionsDelegateCallback, fastifyCors } from '@fastify/cors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RATE_FIELDS, REPLY_FIELDS, REQUEST_FIELDS } from './documented.ts';
import type { PathRules } from './path-rules.ts';
import { pathOf } from './target.ts';

/** Request fields that such a page may send: `Authorization`, and all that the server reads. */
const ALLOWED = [
  ...new Set([
    'Authorization',
    'Content-Type',
    'Accept',
    'Cache-Control',
    ...Object.keys(REQUEST_FIELDS),
    'Upload-Limit',
    'Upload-Incomplete',
    'Prefer',
    'X-HTTP-Method-Override',
    'X-Request-ID',
    'X-Requested-With',
  ]),
]
  .sort()
  .join(', ');
/** Reply fields that such a page may read. */
const EXPOSED = [
  ...new Set([
    ...Object.keys(REPLY_FIELDS).filter((name) => name !== 'Set-Cookie'),
    ...Object.keys(RATE_FIELDS),
    'Upload-Incomplete',
    'Tus-Version',
    'Tus-Extension',
    'Tus-Max-Size',
    'Tus-Checksum-Algorithm',
    'Accept-Patch',
  ]),
]
  .sort()
  .join(', ');
const PREFLIGHT_SECONDS = '86400';

/**
 * Sets the CORS fields of every answer. Register it before hooks that may refuse a request.
 * @param allowed origins of LADING_ALLOWED_ORIGINS; `*` allows any origin, without cookies
 * @param rules name the paths that are open to all origins
 */
export function allowOrigins(app: FastifyInstance, allowed: readonly string[], rules: readonly PathRules[]): void {
  const known = new Set(allowed);
  const any = known.delete('*');
  const open = rules.flatMap(({ anyOrigin }) => anyOrigin ?? []);
  const isOpen = ({ url }: IncomingMessage): boolean => any || open.some((pattern) => pattern.test(pathOf(url)));
  if (known.size === 0) {
    // The fields are the same for all origins, so that caches need no `Vary`.
    app.addHook('onRequest', (request, reply, next) => {
      if (isOpen(request.raw)) {
        reply.header('access-control-allow-origin', '*').header('access-control-expose-headers', EXPOSED);
      }
      next();
    });
    return;
  }
  const policyOf = ({ headers, raw }: FastifyRequest): FastifyCorsOptions => {
    // The plugin must not answer preflights: the route does, or `notFound`, which knows the methods.
    const always = { preflight: false, exposedHeaders: EXPOSED };
    const { origin } = headers;
    if (origin !== undefined && known.has(origin)) return { ...always, origin, credentials: true };
    return { ...always, origin: isOpen(raw) ? '*' : false };
  };
  // The plugin is called, not registered: a registered plugin would add its hook after those that are registered below.
  const delegator: FastifyCorsOptionsDelegateCallback = (request, done) => done(null, policyOf(request));
  fastifyCors(app, { hook: 'onRequest', delegator }, () => {});
}

/** Sets the fields of the answer to a preflight. */
export function preflightFields(reply: FastifyReply, methods: string): void {
  reply.header('access-control-allow-methods', methods).header('access-control-allow-headers', ALLOWED);
  reply.header('access-control-max-age', PREFLIGHT_SECONDS);
}

/** Adds the name of a request field to `Vary`. */
export function varyBy(reply: FastifyReply, field: string): FastifyReply {
  const before = reply.getHeader('vary');
  return reply.header('vary', before === undefined ? field : `${before}, ${field}`);
}
