/**
 * What browsers are told with every answer, refusals and JSON included: guess no type, show it in no frame, run nothing of it. Pages and
 * files say more in the same fields.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** One year; RFC 6797 §6.1. */
const HSTS = 'max-age=31536000';

const FIELDS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
} as const;

/** For pages of ours: everything comes from this server, and nothing runs that is not a file of it. */
const PAGE_FIELDS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "media-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-resource-policy': 'same-origin',
} as const;

const SECURE_PAGE_FIELDS = { ...PAGE_FIELDS, 'cross-origin-opener-policy': 'same-origin' } as const;

/**
 * Fields of a page of ours. Over plain HTTP from another machine browsers ignore the opener policy and note an error about it; only where
 * there is TLS, or the server is the machine itself, do they send `Sec-Fetch-Site`.
 */
export function pageFields({ site, headers }: FastifyRequest): Record<string, string> {
  const trusted = site.secure || site.isLocal || headers['sec-fetch-site'] !== undefined;
  return trusted ? SECURE_PAGE_FIELDS : PAGE_FIELDS;
}

/** @param tls whether the client is known to come by TLS, so that it shall never come without */
export function securityFields(tls: boolean): Record<string, string> {
  return tls ? { ...FIELDS, 'strict-transport-security': HSTS } : FIELDS;
}

/** Register it before all that may refuse a request. */
export function secureReplies(app: FastifyInstance): void {
  const [plain, tls] = [securityFields(false), securityFields(true)];
  app.addHook('onRequest', (request, reply, next) => {
    reply.headers(request.site.secure ? tls : plain);
    next();
  });
}
