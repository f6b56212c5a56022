/** Answers requests without a route: 404, or 405 with `Allow` if the path has other methods. */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../../errors.ts';
import { preflightFields } from './cors.ts';
import { pathOf } from './target.ts';

interface Known {
  pattern: RegExp;
  methods: Set<string>;
}

/** A route's URL as a pattern: `:name` matches a segment, `*` the rest. */
function patternOf(url: string): RegExp {
  const parts = url.split(/(:[A-Za-z_]+|\*)/).map((part) => {
    if (part === '*') return '.*';
    return part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`);
}

/** Sets the handler of requests without a route. Call it before any route is registered. */
export function notFound(app: FastifyInstance): void {
  const known = new Map<string, Known>();
  app.addHook('onRoute', ({ url, method }) => {
    // A route for the OPTIONS of all paths does not show which paths exist.
    if (url === '*' || url === '/*') return;
    const route = known.get(url) ?? { pattern: patternOf(url), methods: new Set<string>() };
    known.set(url, route);
    for (const name of [method].flat()) route.methods.add(name);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.raw.url);
    const { site } = request;
    // The pages use relative URLs, which need the slash.
    if (site.prefix !== '' && path === site.prefix) return reply.redirect(site.path('/'), 308);
    const methods = new Set<string>();
    for (const route of known.values()) {
      if (route.pattern.test(path)) for (const method of route.methods) methods.add(method);
    }
    if (methods.size === 0) throw new LadingError('not_found', 'There is no resource at this path.');
    const allow = [...methods.add('OPTIONS')].sort().join(', ');
    reply.header('allow', allow);
    if (request.method === 'OPTIONS') {
      if (reply.hasHeader('access-control-allow-origin')) preflightFields(reply, allow);
      return reply.code(204).send();
    }
    throw new LadingError(
      'method_not_allowed',
      `This resource does not support ${request.method}. See the Allow field.`,
    );
  });
}
