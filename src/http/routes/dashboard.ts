/** GET /: the dashboard, built beforehand and held in memory; open, for it shows nothing before somebody signs in. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LadingError } from '../../errors.ts';
import { contentTypeFor } from '../../protocol/media-types.ts';

const FOLDER = join(import.meta.dirname, '../../dashboard');

/** Everything comes from this server, and nothing runs that is not a file of it. */
const POLICY = [
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
].join('; ');

const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

interface Asset {
  type: string;
  plain: Buffer;
  /** By the name of the content coding. */
  coded: Map<string, Buffer>;
}

/** Routes of the page and its files, whose names change with their content. */
export function dashboardRoutes(app: FastifyInstance): void {
  const page = read('index.html');
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(join(FOLDER, 'assets'))) {
    if (!/\.(?:br|gz|map)$/.test(name)) assets.set(name, read(join('assets', name)));
  }
  app.get('/', {
    schema: { hide: true },
    handler: async (request, reply) => send(request, reply, page, 'no-cache'),
  });
  app.get<{ Params: { name: string } }>('/assets/:name', {
    schema: { hide: true },
    handler: async (request, reply) => {
      const asset = assets.get(request.params.name);
      if (asset === undefined)
        throw new LadingError('not_found', 'The dashboard has no such file; load the page again.');
      return send(request, reply, asset, 'public, max-age=31536000, immutable');
    },
  });
}

function read(name: string): Asset {
  const path = join(FOLDER, name);
  const coded = new Map(ENCODINGS.map(([coding, suffix]) => [coding, readFileSync(path + suffix)]));
  const type = contentTypeFor(name);
  return { type: type.startsWith('text/') ? `${type}; charset=utf-8` : type, plain: readFileSync(path), coded };
}

function send(request: FastifyRequest, reply: FastifyReply, asset: Asset, caching: string): FastifyReply {
  const wanted = request.headers['accept-encoding'];
  const accepted = typeof wanted === 'string' ? wanted.split(',').map((coding) => coding.trim().toLowerCase()) : [];
  // A coding with a weight is left out: no browser sends one, and plain is always right.
  const coding = ENCODINGS.map(([name]) => name).find((name) => accepted.includes(name));
  reply.headers({
    'content-type': asset.type,
    'cache-control': caching,
    vary: 'accept-encoding',
    'content-security-policy': POLICY,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  });
  if (coding !== undefined) reply.header('content-encoding', coding);
  return reply.send((coding && asset.coded.get(coding)) ?? asset.plain);
}

/** Name of the style sheet among the assets, for pages without a script. */
export function dashboardStyle(): string {
  return readdirSync(join(FOLDER, 'assets')).find((name) => name.endsWith('.css')) ?? '';
}
