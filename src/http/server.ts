/** The HTTP server: everything registered in the order in which a request meets it. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { LadingError } from '../errors.ts';
import { Tokens } from '../identity/access-tokens.ts';
import { Access } from '../identity/authenticate.ts';
import { Throttle } from '../identity/limits/throttle.ts';
import { Players } from '../identity/sharing/players.ts';
import { bearerAuth } from './access/bearer.ts';
import { limitAddresses, rateLimits } from './access/rate-limit.ts';
import { ISSUER, registerSignatures } from './access/signatures.ts';
import { StreamLimits } from './access/stream-limits.ts';
import { auditRoutes } from './api/admin/audit.ts';
import { clientRoutes } from './api/admin/clients.ts';
import { configRoute } from './api/admin/config.ts';
import { phoneRoutes } from './api/admin/phones.ts';
import { quotaRoutes } from './api/admin/quotas.ts';
import { adminRoutes } from './api/admin/sweep.ts';
import { tenantRoutes } from './api/admin/tenants.ts';
import { userRoutes } from './api/admin/users.ts';
import { apiTokenRoutes } from './api/api-tokens.ts';
import { audioRoutes } from './api/audio.ts';
import { callRoutes, providerRoute } from './api/calls.ts';
import { deliveryRoutes } from './api/deliveries.ts';
import { eventRoutes } from './api/events.ts';
import { grantRoutes } from './api/grants.ts';
import { healthRoutes } from './api/health.ts';
import { metricsRoutes } from './api/metrics.ts';
import { playedFileRoute, playerRoutes } from './api/players.ts';
import { sharedFileRoute, shareRoutes } from './api/shares.ts';
import { transferRoutes } from './api/transfers.ts';
import { canonicalContentType, checksContent, checkTransferCoding } from './body/content.ts';
import { createListener } from './connection/listener.ts';
import { answerParseError, HEADER_BYTES } from './connection/parse-error.ts';
import {
  checkMessage,
  isUnframed,
  markUnreadable,
  metadataForm,
  originForm,
  unreadableTarget,
} from './connection/request-checks.ts';
import { secureReplies } from './connection/security-fields.ts';
import type { ServerDeps } from './deps.ts';
import { guardConnections, guardRequests } from './guards.ts';
import { downloadRoutes } from './native/download.ts';
import { fileRoutes } from './native/files.ts';
import { statusRoutes } from './native/status.ts';
import { multipartConstraint, uploadRoutes } from './native/upload.ts';
import { auditHooks, auditRefusal } from './observe/audit.ts';
import { RequestLog } from './observe/log.ts';
import { Metrics } from './observe/metrics.ts';
import { openapi } from './openapi/document.ts';
import { dashboardRoutes } from './pages/dashboard.ts';
import { docRoutes } from './pages/docs.ts';
import { tokenDashboardRoutes } from './pages/token-dashboard.ts';
import { claimBody, readRest, refuse } from './problems/early-refusal.ts';
import { asLadingError, internalError, inWordsOf, problemReply } from './problems/problems.ts';
import { prefixOf, sites } from './proxy/site.ts';
import { otherOrigins } from './request/cors.ts';
import { notFound } from './request/not-found.ts';
import { parseQuery, validatorCompiler } from './request/query.ts';
import { pathOf } from './request/target.ts';
import { strictRequests } from './request/unknown-keys.ts';
import { resumableRoutes } from './resumable/routes.ts';
import { accountRoutes } from './signin/account-files.ts';
import { accountDoors } from './signin/account-logins.ts';
import { outsideRoutes } from './signin/federation.ts';
import { signInRoutes } from './signin/login.ts';
import { oauthRoutes, verifyRoute } from './signin/oauth.ts';
import { ownAccountRoutes } from './signin/own-account.ts';
import { sessionRoutes } from './signin/sessions.ts';
import { tokenRoutes } from './signin/token.ts';
import { wellKnownRoutes } from './signin/well-known.ts';
import { overridesMethod } from './tus/override.ts';
import { tusRoutes } from './tus/routes.ts';

/** Bodies that are read whole are forms and small JSON documents. */
const BODY_BYTES = 64 * 1024;
/** As long as a path can be: what is wrong with a name or an id says who reads it. */
const PARAMETER_CHARACTERS = HEADER_BYTES;

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
  const routeDeps = { ...deps, clients, access, metrics, tokens, throttle, signUps, streams };

  app.decorateRequest('refusalCode', null);
  sites(app, deps.config);
  app.setValidatorCompiler(validatorCompiler);
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(deps, log, error, request, reply));
  secureReplies(app);
  otherOrigins(app, deps.config.allowedOrigins);
  app.addHook('onRequest', (request, reply, next) => {
    reply.header('x-request-id', request.id);
    claimBody(request.raw);
    const wrong = checkMessage(request.raw) ?? unreadableTarget(request.raw) ?? checkTransferCoding(request.raw);
    // Of what comes behind `Upgrade` node's parser throws everything away: nobody may wait for an answer to it.
    const ends = wrong !== null || request.headers.upgrade !== undefined || isUnframed(request.raw);
    if (ends && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
    next(wrong ?? undefined);
  });
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.readableEnded) readRest(request.raw);
    done();
  });
  const limits = rateLimits(deps.config, deps.clock);
  limitAddresses(app, limits);
  guardRequests(app, deps.config);
  auditHooks(app, deps.audit);
  checksContent(app);
  strictRequests(app);
  notFound(app);
  app.register(openapi);

  app.register(async (open) => {
    healthRoutes(open, routeDeps);
    wellKnownRoutes(open, routeDeps);
    docRoutes(open);
    dashboardRoutes(open);
  });
  app.register(async (working) => {
    working.addHook('onRequest', (_request, _reply, next) => next(unavailable(deps)));
    tokenRoutes(working, routeDeps);
    oauthRoutes(working, routeDeps);
    metricsRoutes(working, routeDeps);
    providerRoute(working, routeDeps);
    signInRoutes(working, routeDeps);
    outsideRoutes(working, routeDeps);
    accountDoors(working, routeDeps);
    sharedFileRoute(working, routeDeps);
    playedFileRoute(working, routeDeps, players);
    tokenDashboardRoutes(working, routeDeps);
    apiTokenRoutes(working, routeDeps, limits);
    tusRoutes(working, routeDeps, limits);
    resumableRoutes(working, routeDeps, limits);
    working.register(async (signedIn) => {
      signedIn.register(bearerAuth, {
        access,
        limits,
        secondFactor: deps.secondFactor,
      });
      // Bodies are left alone unless a route wants one: a chunk is a stream, and what else clients attach means nothing.
      signedIn.removeAllContentTypeParsers();
      signedIn.addContentTypeParser('*', (_request, _payload, done) => done(null));
      signedIn.register(async (api) => {
        uploadRoutes(api, routeDeps);
        statusRoutes(api, routeDeps);
        downloadRoutes(api, routeDeps);
        fileRoutes(api, routeDeps);
        clientRoutes(api, routeDeps);
        adminRoutes(api, routeDeps);
        tenantRoutes(api, routeDeps);
        ownAccountRoutes(api, routeDeps);
        userRoutes(api, routeDeps);
        verifyRoute(api);
        configRoute(api, routeDeps);
        auditRoutes(api, routeDeps);
        quotaRoutes(api, routeDeps);
        audioRoutes(api, routeDeps);
        accountRoutes(api, routeDeps);
        sessionRoutes(api, routeDeps);
        shareRoutes(api, routeDeps);
        playerRoutes(api, routeDeps, players);
        grantRoutes(api, routeDeps);
        deliveryRoutes(api, routeDeps);
        callRoutes(api, routeDeps);
        phoneRoutes(api, routeDeps);
        eventRoutes(api, routeDeps);
        transferRoutes(api, routeDeps);
      });
    });
  });
  return app;
}

/** @param roots first segments of the paths of all routes, once they are known */
function createApp(deps: ServerDeps, metrics: Metrics, log: RequestLog, roots: ReadonlySet<string>): FastifyInstance {
  const { tls, idleSeconds } = deps.config;
  const options: FastifyHttpOptions<Server, FastifyBaseLogger> = {
    serverFactory: (handler) => {
      const server = createListener({ tls, idleSeconds, metrics, log: deps.log }, adapted(deps, roots, handler));
      guardConnections(server, deps, metrics);
      return server;
    },
    loggerInstance: deps.log,
    // One logger for all: a child for every request costs more than it says, for our lines carry the request's id anyway.
    childLoggerFactory: (logger) => logger,
    logController: log,
    genReqId: requestId,
    bodyLimit: BODY_BYTES,
    // While closing, requests on connections that are still open get our own answer and not Fastify's.
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => answerParseError(error, socket, (...answer) => log.unparsed(...answer)),
    routerOptions: {
      maxParamLength: PARAMETER_CHARACTERS,
      querystringParser: parseQuery,
      constraints: { multipart: multipartConstraint },
    },
  };
  return fastify(options);
}

/** What proxies and old clients say in other words than HTTP's own. */
function adapted({ config }: ServerDeps, roots: ReadonlySet<string>, handler: RequestListener): RequestListener {
  const next = overridesMethod(handler);
  const prefix = prefixOf(config.publicUrl);
  return (request, response) => {
    canonicalContentType(request);
    const url = metadataForm(originForm(request), prefix);
    // A proxy takes the path away. Clients without one use it too, for it is in all links; unless a route of ours begins so.
    const below = prefix !== '' && url.startsWith(`${prefix}/`) && !roots.has(rootOf(prefix));
    request.url = below ? url.slice(prefix.length) : url;
    markUnreadable(request);
    next(request, response);
  };
}

/** The first segment of a path. */
function rootOf(path: string): string {
  return path.split('/', 2)[1] ?? '';
}

function tokensOf(app: FastifyInstance, { identity, clock, config, keys }: ServerDeps): Tokens {
  // As the metadata document says it (RFC 8414 §2), where the server knows its address.
  const issuer = config.publicUrl ?? ISSUER;
  return new Tokens(
    {
      issuer,
      ...registerSignatures(app, keys, issuer),
      subject: (kind, id, issued) => identity.subject(kind, id, issued),
      generationOf: (id) => identity.clients.find(id)?.generation,
      isAlive: (signIn) => identity.signIns.isAlive(signIn),
      clock,
      seconds: config.tokenMinutes * 60,
    },
    identity.revoked,
  );
}

const PROCESS_ID = randomBytes(6).toString('base64url');
let requests = 0;

/** The sender's own id if it can do no harm in a log, else one that no other process makes. */
function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && /^[\w.:+/=-]{1,128}$/.test(given)) return given;
  requests += 1;
  return `${PROCESS_ID}-${requests.toString(36)}`;
}

function unavailable({ state }: ServerDeps): LadingError | undefined {
  const now = state();
  if (now === 'ready') return undefined;
  if (now === 'starting')
    return new LadingError('overloaded', 'The server is starting; try again in a moment.', { retry_after: 1 });
  return new LadingError('shutting_down', 'The server is shutting down; try again in a moment.', { retry_after: 5 });
}

/** The connection, or of HTTP/2 the stream (which then has no socket any more), is gone: nobody will read an answer. */
function isGone(message: IncomingMessage): boolean {
  return message.aborted || message.socket?.destroyed === true;
}

function answerError(
  deps: ServerDeps,
  log: RequestLog,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (isGone(request.raw)) {
    reply.hijack();
    log.clientLeft(request, reply);
    return;
  }
  const known = asLadingError(error);
  if (!known || known.code === 'internal') {
    deps.log.error({ request_id: request.id, err: error }, 'unexpected error');
  }
  const path = request.routeOptions.url ?? pathOf(request.raw.url);
  const problem = inWordsOf(path, known ?? internalError(error));
  request.refusalCode = problem.code;
  auditRefusal(deps.audit, request, problem);
  if (problem.code === 'shutting_down' && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
  const write = request.routeOptions.config?.refusal ?? problemReply;
  const lingers = refuse(
    request,
    reply,
    write(problem, request.id, /^bearer\b/i.test(request.headers.authorization ?? '')),
  );
  if (lingers) log.answered(request, reply);
}
