/** Builds the HTTP server. Hooks are registered in the order in which they handle a request. */
import type { FastifyError, FastifyInstance } from 'fastify';
import { Tokens } from '../identity/access-tokens.ts';
import { Access } from '../identity/authenticate.ts';
import { Throttle } from '../identity/limits/throttle.ts';
import { Players } from '../identity/sharing/players.ts';
import { limitAddresses, rateLimits } from './access/rate-limit.ts';
import { ISSUER, registerSignatures } from './access/signatures.ts';
import { StreamLimits } from './access/stream-limits.ts';
import { answerError } from './answer-error.ts';
import { TOKEN_PATHS } from './api/api-tokens.ts';
import { CALL_PATHS } from './api/calls.ts';
import { SHARE_PATHS } from './api/shared-file.ts';
import { createApp, rootOf } from './app.ts';
import { checksContent } from './body/content.ts';
import { checkMessage, isUnframed, unreadableTarget } from './connection/request-checks.ts';
import { secureReplies } from './connection/security-fields.ts';
import { checkTransferCoding } from './connection/transfer-coding.ts';
import type { ServerDeps } from './deps.ts';
import { guardRequests } from './guards.ts';
import { FILE_PATHS } from './native/files.ts';
import { auditHooks } from './observe/audit.ts';
import { RequestLog } from './observe/log.ts';
import { Metrics } from './observe/metrics.ts';
import { openapi } from './openapi/document.ts';
import { claimBody, readRest } from './problems/early-refusal.ts';
import { sites } from './proxy/site.ts';
import { allowOrigins } from './request/cors.ts';
import { notFound } from './request/not-found.ts';
import { decoratePaths, type PathRules } from './request/path-rules.ts';
import { validatorCompiler } from './request/query.ts';
import { strictRequests } from './request/unknown-keys.ts';
import { UPLOAD_PATHS } from './resumable/common.ts';
import { type RouteDeps, registerRoutes } from './routes.ts';
import { TUS_PATHS } from './tus/common.ts';

/** What the groups of routes declare about their paths. */
const PATHS: readonly PathRules[] = [FILE_PATHS, TUS_PATHS, UPLOAD_PATHS, SHARE_PATHS, CALL_PATHS, ...TOKEN_PATHS];

/** Builds the server with all its routes. The server does not listen yet. */
export function buildServer(deps: ServerDeps): FastifyInstance {
  const metrics = new Metrics(deps.gauges);
  const log = new RequestLog(deps.log, metrics);
  const roots = new Set<string>();
  const app = createApp(deps, metrics, log, roots);
  app.addHook('onRoute', ({ url }) => {
    roots.add(rootOf(url));
  });
  const tokens = tokensOf(app, deps);
  const access = new Access(deps.identity, tokens);
  const { clients } = deps.identity;
  const throttle = new Throttle(deps.clock);
  const signUps = new Throttle(deps.clock);
  const streams = new StreamLimits();
  const players = new Players(deps.clock);
  const routeDeps: RouteDeps = { ...deps, clients, access, metrics, tokens, throttle, signUps, streams, players };

  app.decorateRequest('refusalCode', null);
  decoratePaths(app, PATHS);
  sites(app, deps.config);
  app.setValidatorCompiler(validatorCompiler);
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(deps, log, error, request, reply));
  secureReplies(app);
  allowOrigins(app, deps.config.allowedOrigins, PATHS);
  checkRequests(app);
  const limits = rateLimits(deps.config, deps.clock);
  limitAddresses(app, limits);
  guardRequests(app, deps.config);
  auditHooks(app, deps.audit);
  checksContent(app);
  strictRequests(app);
  notFound(app);
  app.register(openapi);

  registerRoutes(app, routeDeps, limits);
  return app;
}

/** Sends each request's id, refuses malformed requests, and discards the part of a body that the handler did not read. */
function checkRequests(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, next) => {
    reply.header('x-request-id', request.id);
    claimBody(request.raw);
    const wrong = checkMessage(request.raw) ?? unreadableTarget(request.raw, PATHS) ?? checkTransferCoding(request.raw);
    // Node's parser discards everything after an `Upgrade`, so the connection must not wait for another request.
    const ends = wrong !== null || request.headers.upgrade !== undefined || isUnframed(request.raw);
    if (ends && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
    next(wrong ?? undefined);
  });
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.readableEnded) readRest(request.raw);
    done();
  });
}

function tokensOf(app: FastifyInstance, { identity, clock, config, keys }: ServerDeps): Tokens {
  // The issuer of the metadata document (RFC 8414 §2), if the server knows its public URL.
  const issuer = config.publicUrl ?? ISSUER;
  return new Tokens(
    {
      issuer,
      ...registerSignatures(app, keys, issuer),
      subject: (kind, id, issued) => identity.subject(kind, id, issued),
      generationOf: (id) => identity.clients.find(id)?.generation,
      isAlive: (signIn) => identity.sessions.isAlive(signIn),
      clock,
      seconds: config.tokenMinutes * 60,
    },
    identity.revoked,
  );
}
