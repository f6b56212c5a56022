/** What the HTTP side needs to be given. A route file is a function of the application and these doors. */
import type { Logger } from 'pino';
import type { AudioLibrary } from '../audio/library.ts';
import type { Calls } from '../calls/calls.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Deliveries } from '../delivery/deliveries.ts';
import type { Targets } from '../delivery/targets.ts';
import type { Engine } from '../engine/engine.ts';
import type { Events } from '../events/events.ts';
import type { Tokens } from '../identity/access-tokens.ts';
import type { Audit } from '../identity/audit.ts';
import type { Access } from '../identity/authenticate.ts';
import type { Identity } from '../identity/directory/identity.ts';
import type { FederatedProvider } from '../identity/federation/providers.ts';
import type { Throttle } from '../identity/limits/throttle.ts';
import type { Quotas } from '../identity/quotas.ts';
import type { SecondFactor } from '../identity/second-factor.ts';
import type { Clients } from '../identity/subjects/clients.ts';
import type { Config } from '../settings/config.ts';
import type { JwtKeys } from './access/signatures.ts';
import type { StreamLimits } from './access/stream-limits.ts';
import type { MetricName } from './observe/metric-help.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Downloads } from './send/downloads.ts';

/** `starting`: recovery is under way; `stopping`: what runs may end, nothing new begins. */
export type ServerState = 'starting' | 'ready' | 'stopping';

export interface ServerDeps {
  config: Pick<
    Config,
    | 'compat'
    | 'tokenMinutes'
    | 'trustProxy'
    | 'tls'
    | 'idleSeconds'
    | 'addressConnections'
    | 'publicUrl'
    | 'allowedOrigins'
    | 'registration'
    | 'maxChunkBytes'
    | 'maxFileBytes'
    | 'refreshDays'
    | 'sessionDays'
    | 'accountDays'
    | 'passwordGrant'
    | 'staleSeconds'
    | 'staleRemoveDays'
    | 'openEndedSeconds'
    | 'jwtAlgorithm'
    | 'jwtRotateDays'
    | 'jwtSecret'
    | 'ratePrincipal'
    | 'rateToken'
    | 'rateAddress'
    | 'deliveryParallel'
    | 'deliveryAttempts'
    | 'deliveryRetrySeconds'
    | 'webhookPrivate'
    | 'uploadAbsolute'
    | 'uploadRight'
    | 'sealingKey'
    | 'voiceToken'
    | 'dashboardPassword'
    | 'compat'
  >;
  engine: Engine;
  downloads: Downloads;
  /** A followed download ends when nothing of the file came for so long, in milliseconds. */
  followSilenceMs: number;
  identity: Identity;
  audit: Audit;
  quotas: Quotas;
  audio: AudioLibrary;
  targets: Targets;
  deliveries: Deliveries;
  events: Events;
  calls: Calls;
  secondFactor: SecondFactor;
  /** Providers outside through which people may sign in. */
  outside: readonly FederatedProvider[];
  /** What signs and verifies tokens. */
  keys: JwtKeys;
  clock: Clock;
  log: Logger;
  state(): ServerState;
  /** How the place of all files is. */
  storage(): 'ok' | 'full' | 'unwritable' | 'lost';
  /** Numbers that the rooms below want on the metrics page, by name; `…_total` only ever grow. */
  gauges(): Record<MetricName, number>;
}

/** `ServerDeps` and what the server made of them. */
export interface RouteDeps extends ServerDeps {
  /** Of `identity`, for the doors that sign clients in. */
  clients: Clients;
  access: Access;
  tokens: Tokens;
  throttle: Throttle;
  /** Of accounts that people make for themselves: apart, so that these hold up nobody who signs in. */
  signUps: Throttle;
  metrics: Metrics;
  streams: StreamLimits;
}
