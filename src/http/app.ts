/** Creates the Fastify instance: its listener, its router and the ids of its requests. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { FastifyBaseLogger, FastifyHttpOptions, FastifyInstance } from 'fastify';
import fastify from 'fastify';
import { canonicalContentType } from './body/content.ts';
import { createListener } from './connection/listener.ts';
import { answerParseError, HEADER_BYTES } from './connection/parse-error.ts';
import { markUnreadable, originForm } from './connection/request-checks.ts';
import type { ServerDeps } from './deps.ts';
import { guardConnections } from './guards.ts';
import { uploadBodyConstraint } from './native/upload-body.ts';
import type { RequestLog } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { prefixOf } from './proxy/site.ts';
import { parseQuery } from './request/query.ts';
import { metadataPath } from './signin/metadata-path.ts';
import { overridesMethod } from './tus/override.ts';

/** Limit of bodies that are read whole: forms and small JSON documents. */
const BODY_BYTES = 64 * 1024;

/** The longest possible path. The routes themselves report names and ids that are too long. */
const PARAMETER_CHARACTERS = HEADER_BYTES;

/** @param roots the first path segment of every route; the caller fills it while it registers routes */
export function createApp(
  deps: ServerDeps,
  metrics: Metrics,
  log: RequestLog,
  roots: ReadonlySet<string>,
): FastifyInstance {
  const { tls, idleSeconds } = deps.config;
  const options: FastifyHttpOptions<Server, FastifyBaseLogger> = {
    serverFactory: (handler) => {
      const server = createListener({ tls, idleSeconds, metrics, log: deps.log }, adapted(deps, roots, handler));
      guardConnections(server, deps, metrics);
      return server;
    },
    loggerInstance: deps.log,
    // A child logger for each request is expensive, and the lines contain the request id anyway.
    childLoggerFactory: (logger) => logger,
    logController: log,
    genReqId: requestId,
    bodyLimit: BODY_BYTES,
    // While the server stops, requests on open connections get the answer of `unavailable` instead of Fastify's.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => answerParseError(error, socket, (...answer) => log.unparsed(...answer)),
    routerOptions: {
      maxParamLength: PARAMETER_CHARACTERS,
      querystringParser: parseQuery,
      constraints: { uploadBody: uploadBodyConstraint },
    },
  };
  return fastify(options);
}

/** Normalizes the media type, the target and the method of a request before it is routed. */
function adapted({ config }: ServerDeps, roots: ReadonlySet<string>, handler: RequestListener): RequestListener {
  const next = overridesMethod(handler);
  const prefix = prefixOf(config.publicUrl);
  return (request, response) => {
    canonicalContentType(request);
    const url = metadataPath(originForm(request), prefix);
    // A proxy removes the prefix. Clients that bypass the proxy send it, because links contain it. A route with the same name wins.
    const below = prefix !== '' && url.startsWith(`${prefix}/`) && !roots.has(rootOf(prefix));
    request.url = below ? url.slice(prefix.length) : url;
    markUnreadable(request);
    next(request, response);
  };
}

/** The first segment of a path. */
export function rootOf(path: string): string {
  return path.split('/', 2)[1] ?? '';
}

const PROCESS_ID = randomBytes(6).toString('base64url');

let requests = 0;

/** The client's own id if it is safe to log, otherwise a unique one. */
function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && /^[\w.:+/=-]{1,128}$/.test(given)) return given;
  requests += 1;
  return `${PROCESS_ID}-${requests.toString(36)}`;
}
