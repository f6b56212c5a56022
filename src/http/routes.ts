/** Registers every route, in scopes that check the state of the server and the sign-in. */
import type { FastifyInstance } from 'fastify';
import { LadingError } from '../errors.ts';
import type { Tokens } from '../identity/access-tokens.ts';
import type { Access } from '../identity/authenticate.ts';
import type { Throttle } from '../identity/limits/throttle.ts';
import type { Players } from '../identity/sharing/players.ts';
import type { Clients } from '../identity/subjects/clients.ts';
import { bearerAuth } from './access/bearer.ts';
import type { RateLimits } from './access/rate-limit.ts';
import type { StreamLimits } from './access/stream-limits.ts';
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
import { callRoutes, voiceProviderRoute } from './api/calls.ts';
import { deliveryRoutes } from './api/deliveries.ts';
import { eventRoutes } from './api/events.ts';
import { grantRoutes } from './api/grants.ts';
import { healthRoutes } from './api/health.ts';
import { metricsRoutes } from './api/metrics.ts';
import { playedFileRoute, playerRoutes } from './api/players.ts';
import { sharedFileRoute } from './api/shared-file.ts';
import { shareRoutes } from './api/shares.ts';
import { transferRoutes } from './api/transfers.ts';
import { unparsedBodies } from './body/unparsed.ts';
import type { ServerDeps, ServerState } from './deps.ts';
import { downloadRoutes } from './native/download.ts';
import { fileRoutes } from './native/files.ts';
import { statusRoutes } from './native/status.ts';
import { trainRoute } from './native/train.ts';
import { uploadRoutes } from './native/upload.ts';
import type { Metrics } from './observe/metrics.ts';
import { dashboardRoutes } from './pages/dashboard.ts';
import { docRoutes } from './pages/docs.ts';
import { tokenDashboardRoutes } from './pages/token-dashboard.ts';
import { resumableRoutes } from './resumable/routes.ts';
import { accountRoutes } from './signin/account-files.ts';
import { accountLoginRoutes } from './signin/account-logins.ts';
import { federationRoutes } from './signin/federation.ts';
import { signInRoutes } from './signin/login.ts';
import { oauthRoutes } from './signin/oauth.ts';
import { ownAccountRoutes } from './signin/own-account.ts';
import { sessionRoutes } from './signin/sessions.ts';
import { tokenRoutes } from './signin/token.ts';
import { verifyRoute } from './signin/verify-token.ts';
import { wellKnownRoutes } from './signin/well-known.ts';
import { tusRoutes } from './tus/routes.ts';

/** The dependencies of all routes: those of the server, and those that the server builds from them. */
export interface RouteDeps extends ServerDeps {
  clients: Clients;
  access: Access;
  tokens: Tokens;
  throttle: Throttle;
  /** Throttles sign-ups separately from sign-ins. */
  signUps: Throttle;
  metrics: Metrics;
  streams: StreamLimits;
  players: Players;
}

/** Registers every route in one of three scopes: always open, open while the server is ready, and signed in. */
export function registerRoutes(app: FastifyInstance, deps: RouteDeps, limits: RateLimits): void {
  app.register(async (open) => {
    healthRoutes(open, deps);
    wellKnownRoutes(open, deps);
    docRoutes(open);
    dashboardRoutes(open);
  });
  app.register(async (working) => {
    working.addHook('onRequest', (_request, _reply, next) => next(unavailable(deps.state())));
    tokenRoutes(working, deps);
    oauthRoutes(working, deps);
    metricsRoutes(working, deps);
    voiceProviderRoute(working, deps);
    signInRoutes(working, deps);
    federationRoutes(working, deps);
    accountLoginRoutes(working, deps);
    sharedFileRoute(working, deps);
    playedFileRoute(working, deps, deps.players);
    tokenDashboardRoutes(working, deps);
    apiTokenRoutes(working, deps, limits);
    tusRoutes(working, deps, limits);
    resumableRoutes(working, deps, limits);
    working.register(async (signedIn) => {
      const { access, secondFactor } = deps;
      signedIn.register(bearerAuth, { access, limits, secondFactor });
      // A chunk is a stream, and other bodies are ignored unless a route adds a parser.
      unparsedBodies(signedIn);
      signedIn.register(async (api) => signedInRoutes(api, deps));
    });
  });
}

function signedInRoutes(api: FastifyInstance, deps: RouteDeps): void {
  uploadRoutes(api, deps);
  trainRoute(api, deps);
  statusRoutes(api, deps);
  downloadRoutes(api, deps);
  fileRoutes(api, deps);
  clientRoutes(api, deps);
  adminRoutes(api, deps);
  tenantRoutes(api, deps);
  ownAccountRoutes(api, deps);
  userRoutes(api, deps);
  verifyRoute(api, deps);
  configRoute(api, deps);
  auditRoutes(api, deps);
  quotaRoutes(api, deps);
  audioRoutes(api, deps);
  accountRoutes(api, deps);
  sessionRoutes(api, deps);
  shareRoutes(api, deps);
  playerRoutes(api, deps, deps.players);
  grantRoutes(api, deps);
  deliveryRoutes(api, deps);
  callRoutes(api, deps);
  phoneRoutes(api, deps);
  eventRoutes(api, deps);
  transferRoutes(api, deps);
}

/** The error while the server starts or stops; undefined when it is ready. */
function unavailable(now: ServerState): LadingError | undefined {
  if (now === 'ready') return undefined;
  if (now === 'starting')
    return new LadingError('overloaded', 'The server is starting. Try again in a moment.', { retry_after: 1 });
  return new LadingError('shutting_down', 'The server is shutting down. Try again in a moment.', { retry_after: 5 });
}
