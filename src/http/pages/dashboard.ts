/** GET /: the dashboard, which is built in advance and kept in memory. It needs no sign-in, because it shows no data before one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { contentTypeFor } from '../../protocol/http/media-types.ts';
import { pageFields } from '../connection/security-fields.ts';
import { type FixedDocument, fixedDocument, sendFixed } from '../send/fixed-documents.ts';

const FOLDER = join(import.meta.dirname, '../../dashboard');

const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

/** Registers the routes of the page and its files. The names of the files change with their content. */
export function dashboardRoutes(app: FastifyInstance): void {
  const page = read('index.html');
  const assets = new Map<string, FixedDocument>();
  for (const name of readdirSync(join(FOLDER, 'assets'))) {
    if (!/\.(?:br|gz|map)$/.test(name)) assets.set(name, read(join('assets', name)));
  }
  app.get('/', {
    schema: { hide: true },
    handler: async (request, reply) => sendFixed(request, reply, page, pageFields(request)),
  });
  app.get<{ Params: { name: string } }>('/assets/:name', {
    schema: { hide: true },
    handler: async (request, reply) => {
      const asset = assets.get(request.params.name);
      if (asset === undefined) throw new LadingError('not_found', 'The dashboard has no such file. Reload the page.');
      return sendFixed(request, reply, asset, {
        ...pageFields(request),
        'cache-control': 'public, max-age=31536000, immutable',
      });
    },
  });
}

function read(name: string): FixedDocument {
  const path = join(FOLDER, name);
  const coded = new Map(ENCODINGS.map(([coding, suffix]) => [coding, readFileSync(path + suffix)]));
  const type = contentTypeFor(name);
  return fixedDocument(type.startsWith('text/') ? `${type}; charset=utf-8` : type, readFileSync(path), coded);
}
