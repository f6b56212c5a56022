/**
 * Security fields of every answer, including errors and JSON: browsers must not guess its type, show it in a frame or run it. Pages and
 * files replace some of them.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** One year; RFC 6797 §6.1. */
const HSTS = 'max-age=31536000';

const FIELDS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
} as const;

/** For pages of this server: they load everything from this server and run only its files. */
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
 * Fields of a page of this server. Over plain HTTP from another machine, browsers ignore the opener policy and log an error. They send
 * `Sec-Fetch-Site` only with TLS or to the machine itself.
 */
export function pageFields({ site, headers }: FastifyRequest): Record<string, string> {
  const trusted = site.secure || site.isLocal || headers['sec-fetch-site'] !== undefined;
  return trusted ? SECURE_PAGE_FIELDS : PAGE_FIELDS;
}

/** Fields of any answer. @param tls true if the client used TLS; then it must always use TLS (HSTS) */
export function securityFields(tls: boolean): Record<string, string> {
  return tls ? { ...FIELDS, 'strict-transport-security': HSTS } : FIELDS;
}

/** Adds the fields to every reply. Register it before hooks that may refuse a request. */
export function secureReplies(app: FastifyInstance): void {
  const [plain, tls] = [securityFields(false), securityFields(true)];
  app.addHook('onRequest', (request, reply, next) => {
    reply.headers(request.site.secure ? tls : plain);
    next();
  });
}
