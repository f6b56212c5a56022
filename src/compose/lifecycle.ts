/** Starts the server in order, and stops it in reverse. */
import { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { AudioLibrary } from '../audio/library.ts';
import type { Calls } from '../calls/calls.ts';
import type { PersistentClock } from '../clock/persistent-clock.ts';
import type { Schedule } from '../clock/schedule.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Store } from '../contracts/store.ts';
import type { Deliveries } from '../delivery/deliveries.ts';
import type { Engine } from '../engine/engine.ts';
import type { Events } from '../events/events.ts';
import type { ServerState } from '../http/deps.ts';
import type { Audit } from '../identity/audit.ts';
import { ensureAdmin, type FirstAdmin } from '../identity/directory/bootstrap.ts';
import type { Identity } from '../identity/directory/identity.ts';
import { recordAdministrator } from '../identity/record-administrator.ts';
import type { Config } from '../settings/config.ts';

export interface LifecycleDeps {
  config: Config;
  store: Store;
  persistentClock: PersistentClock;
  clock: Clock;
  log: Logger;
  identity: Identity;
  audit: Audit;
  engine: Engine;
  deliveries: Deliveries;
  calls: Calls;
  audio: AudioLibrary;
  events: Events;
  server: FastifyInstance;
  sweeper: Schedule;
  sweepAll(): Promise<void>;
  setState(state: ServerState): void;
}

export interface Lifecycle {
  /**
   * Listens, then recovers; resolves with the address once everything is served. Until then every route but `/health` answers 503.
   * @param show called with the first administrator before it is created, if no administrator exists; its secret is not stored
   */
  start(show?: (admin: FirstAdmin) => void): Promise<string>;
  /**
   * Stops in order: refuses new requests, lets running chunks finish within `shutdownSeconds`, and makes everything durable. May be called
   * during a start.
   */
  close(): Promise<void>;
}

/** Extra time for sending the replies that refuse requests during a stop. */
const LAST_REPLIES_MS = 1_000;
/** How often a stop closes connections that have become idle. */
const IDLE_CHECK_MS = 100;

/** Starts in order, stops in reverse. */
export function lifecycle(parts: LifecycleDeps): Lifecycle {
  const { config, store, clock, log, identity, audit, engine, deliveries, server, sweeper, sweepAll, setState } = parts;
  let recovered = false;
  let closing: Promise<void> | null = null;

  async function start(show?: (admin: FirstAdmin) => void): Promise<string> {
    await server.listen({ host: config.host, port: config.port });
    // Only after listening has succeeded: the secret is shown once, and a start that fails must not show it.
    await ensureAdmin(identity, configuredAdmin(config), show, (change) =>
      recordAdministrator(audit, 'LADING_ADMIN_SECRET', change),
    );
    const began = clock.monotonic();
    const found = await engine.start(store.wasClean);
    recovered = true;
    log.info({ ...found, clean: store.wasClean, ms: Math.round(clock.monotonic() - began) }, 'recovered');
    if (closing === null) {
      setState('ready');
      deliveries.start();
      void sweepAll();
      sweeper.start();
    }
    return addressOf(server, config);
  }

  void store.lost.then(() => {
    log.fatal({ data_dir: config.dataDir }, 'the data directory was moved, unmounted or replaced; the server stops');
    // Acknowledge nothing more: the next server would not find it.
    setState('stopping');
  });
  return {
    start,
    close: () => {
      closing ??= stop(parts, () => recovered);
      return closing;
    },
  };
}

/** @param recovered true once recovery has checked what an unclean stop may have left */
async function stop(parts: LifecycleDeps, recovered: () => boolean): Promise<void> {
  const { config, store, persistentClock, identity, audit, engine, deliveries, calls, audio, events, server } = parts;
  parts.setState('stopping');
  parts.sweeper.stop();
  const drainMs = config.shutdownSeconds * 1000;
  // Downloads may run as long as chunks. After that, the replies that say why have some more time before all connections close.
  const closeAll = setTimeout(() => server.server.closeAllConnections(), drainMs + LAST_REPLIES_MS);
  const closed = server.close();
  // `close` closes only connections that are idle now. Close the others as soon as their last reply is sent.
  const idle = setInterval(() => Server.prototype.closeIdleConnections.call(server.server), IDLE_CHECK_MS);
  const ended = await engine.stop(drainMs);
  await closed;
  clearInterval(idle);
  clearTimeout(closeAll);
  await deliveries.stop();
  await calls.close();
  await audio.close();
  events.close();
  await identity.close();
  await audit.close();
  await persistentClock.close();
  // If recovery did not finish after an unclean stop, the directory must not be marked clean.
  await store.close({ clean: ended && (recovered() || store.wasClean) });
}

function configuredAdmin({ adminId, adminSecret }: Config): FirstAdmin | null {
  return adminId !== null && adminSecret !== null ? { id: adminId, secret: adminSecret } : null;
}

function addressOf(server: FastifyInstance, config: Config): string {
  const { address, family, port } = server.server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return `${config.tls ? 'https' : 'http'}://${host}:${port}`;
}
