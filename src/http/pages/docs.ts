/** The OpenAPI document and a page to read it. Both need no sign-in: they contain only public documentation. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { pageFields } from '../connection/security-fields.ts';
import { compressedDocument, type FixedDocument, once, sendFixed } from '../send/fixed-documents.ts';

/** The directory of the page in its package. */
const FOLDER = join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui')), 'static');
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'index.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};

/** Trusted proxies use one or a few paths. */
const MAX_DOCUMENTS = 8;

/** The script that starts the page. The element that loads it has the address of the document. */
const START = `const { document: url } = document.currentScript.dataset;
window.addEventListener('load', () => {
  SwaggerUIBundle({ url, dom_id: '#swagger-ui', deepLinking: false, validatorUrl: null });
});
`;

/** Registers the routes of the document and its page. */
export function docRoutes(app: FastifyInstance): void {
  const hidden = { schema: { hide: true } } as const;
  /** Documents by the path below which the proxy serves the server. */
  const documents = new Map<string, () => Promise<FixedDocument>>();
  const documentFor = (prefix: string): Promise<FixedDocument> => {
    const cached = documents.get(prefix);
    if (cached) return cached();
    const build = once(() => {
      const document = { ...app.swagger(), servers: [{ url: prefix === '' ? '/' : prefix }] };
      return compressedDocument('application/json', Buffer.from(JSON.stringify(document)));
    });
    if (documents.size < MAX_DOCUMENTS) documents.set(prefix, build);
    return build();
  };
  app.get('/openapi.json', hidden, async (request, reply) => {
    return sendFixed(request, reply, await documentFor(request.site.prefix));
  });

  // Addresses are relative, because a proxy may serve the server below a path.
  for (const [url, up, files] of [
    ['/docs', '', 'docs/static'],
    ['/docs/', '../', 'static'],
  ] as const) {
    const page = once(() => compressedDocument('text/html; charset=utf-8', Buffer.from(pageOf(up, files))));
    app.get(url, hidden, async (request, reply) => sendFixed(request, reply, await page(), pageFields(request)));
  }
  const files = new Map<string, () => Promise<FixedDocument>>();
  for (const [name, type] of Object.entries(FILES)) {
    files.set(
      name,
      once(async () => compressedDocument(type, await readFile(join(FOLDER, name)))),
    );
  }
  files.set(
    'start.js',
    once(() => compressedDocument('text/javascript; charset=utf-8', Buffer.from(START))),
  );
  app.get<{ Params: { name: string } }>('/docs/static/:name', hidden, async (request, reply) => {
    const file = files.get(request.params.name);
    if (file === undefined) throw new LadingError('not_found', 'The page has no such file. Reload the page.');
    return sendFixed(request, reply, await file(), { 'cache-control': 'public, max-age=3600' });
  });
}

/**
 * @param up relative path of the server's root
 * @param files relative path of the page's files
 */
function pageOf(up: string, files: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lading: HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${files}/swagger-ui.css">
<link rel="stylesheet" href="${files}/index.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="${files}/swagger-ui-bundle.js"></script>
<script src="${files}/start.js" data-document="${up}openapi.json"></script>
</body>
</html>
`;
}
