/** Supports X-HTTP-Method-Override, for clients and proxies that can only send GET and POST. */
import type { RequestListener } from 'node:http';
import { TUS_PATHS } from './common.ts';

const METHODS = new Set(['HEAD', 'PATCH', 'DELETE']);

/** "If the Client sets the X-HTTP-Method-Override header, the Server MUST interpret its value as the request method." */
export function overridesMethod(handler: RequestListener): RequestListener {
  return (request, response) => {
    const wanted = request.headers['x-http-method-override'];
    if (typeof wanted === 'string' && request.url?.startsWith(TUS_PATHS.folder) && METHODS.has(wanted.toUpperCase())) {
      request.method = wanted.toUpperCase();
    }
    handler(request, response);
  };
}
