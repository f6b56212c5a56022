/** The dependencies of the HTTP server. Each route file declares the part that it needs. */
import type { Logger } from 'pino';
import type { AudioLibrary } from '../audio/library.ts';
import type { Calls } from '../calls/calls.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Deliveries } from '../delivery/deliveries.ts';
import type { Targets } from '../delivery/targets.ts';
import type { Engine } from '../engine/engine.ts';
import type { Events } from '../events/events.ts';
import type { Audit } from '../identity/audit.ts';
import type { Identity } from '../identity/directory/identity.ts';
import type { FederatedProvider } from '../identity/federation/providers.ts';
import type { Quotas } from '../identity/quotas.ts';
import type { SecondFactor } from '../identity/second-factor.ts';
import type { Config } from '../settings/config.ts';
import type { JwtKeys } from './access/signatures.ts';
import type { MetricName } from './observe/metric-help.ts';
import type { Downloads } from './send/downloads.ts';

/** `starting`: recovery is under way. `stopping`: running requests may finish; new ones are refused. */
export type ServerState = 'starting' | 'ready' | 'stopping';

export interface ServerDeps {
  config: Config;
  engine: Engine;
  downloads: Downloads;
  /** How long a followed download waits for the next bytes of its file, in milliseconds. */
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
  /** Providers through which people may sign in. */
  federation: readonly FederatedProvider[];
  /** Keys that sign and verify tokens. */
  keys: JwtKeys;
  clock: Clock;
  log: Logger;
  state(): ServerState;
  /** State of the data directory. */
  storage(): 'ok' | 'full' | 'unwritable' | 'lost';
  /** Values for `/metrics` by name. Those whose names end in `_total` only grow. */
  gauges(): Record<MetricName, number>;
}
