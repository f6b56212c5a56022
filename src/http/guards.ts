/** Limits the connections, requests and unread answers of one address. */
import type { Server } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../contracts/clock.ts';
import { descriptorLimit } from '../machine/descriptors.ts';
import type { Config } from '../settings/config.ts';
import { limitConnections, limitRequests } from './connection/address-limits.ts';
import { limitResets } from './connection/resets.ts';
import { SessionSockets } from './connection/session-sockets.ts';
import { UnreadAnswers } from './connection/unread.ts';
import type { Metrics } from './observe/metrics.ts';
import { Proxies } from './proxy/proxies.ts';
import { limitLargeAnswers } from './send/large-responses.ts';

type AddressConfig = Pick<Config, 'trustProxy' | 'addressConnections'>;

/** What the limits of connections need from the server. */
export interface GuardDeps {
  config: AddressConfig & Pick<Config, 'idleSeconds'>;
  clock: Clock;
  log: Logger;
}

/** Descriptors to assume where the system sets no limit. */
const UNLIMITED_DESCRIPTORS = 65_536;

/** Limits the requests of one address and their unread answers. Call it before routes are registered. */
export function guardRequests(app: FastifyInstance, config: AddressConfig): void {
  limitRequests(app, addressLimit(config));
  limitLargeAnswers(app);
}

/** The limit of one address. */
function addressLimit(config: AddressConfig): { max: number; isProxy(address: string): boolean } {
  // One address gets half of the descriptors, so that others are served too.
  const half = Math.max(16, Math.floor((descriptorLimit() ?? UNLIMITED_DESCRIPTORS) / 2));
  const proxies = new Proxies(config.trustProxy);
  return { max: config.addressConnections || half, isProxy: (address) => proxies.trusts(address) };
}

/** Limits the connections of one address, unread answers and reset HTTP/2 requests. */
export function guardConnections(server: Server, deps: GuardDeps, metrics: Metrics): void {
  const { config, clock, log } = deps;
  const limit = addressLimit(config);
  limitConnections(server, {
    ...limit,
    onRefused: (address) => {
      if (metrics.refused() === 1) log.warn({ address, most: limit.max }, 'an address has too many connections');
    },
  });
  const sockets = new SessionSockets(server);
  const endSession = (session: Http2Session): void => sockets.end(session);
  const unread = new UnreadAnswers({
    endSession,
    idleMs: config.idleSeconds * 1000,
    now: () => clock.monotonic(),
    isProxy: limit.isProxy,
    onCut: (count) => {
      metrics.unreadAnswers(count);
      log.info({ count }, 'answers were cut because their clients did not read them');
    },
  });
  unread.watch(server);
  limitResets(server, () => clock.monotonic(), endSession);
}
