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
  kept: PersistentClock;
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
  enter(state: ServerState): void;
}

export interface Lifecycle {
  /**
   * Listens, then recovers; resolves with the address once everything is served. Until then every route but `/health` answers 503.
   * @param show called with the first administrator before it is created, if no administrator exists; its secret is not stored
   */
  start(show?: (admin: FirstAdmin) => void): Promise<string>;
  /**
   * Stops in order: no new requests; running chunks may finish within `shutdownSeconds`; everything is made durable. Works during a start,
   * too.
   */
  close(): Promise<void>;
}

/** How long replies that refuse requests during a stop may take to be sent. */
const LAST_REPLIES_MS = 1_000;
/** How often a stop closes connections that have become idle. */
const IDLE_CHECK_MS = 100;

/** Starts in order, stops in reverse. */
export function lifecycle(parts: LifecycleDeps): Lifecycle {
  const { config, store, clock, log, identity, audit, engine, deliveries, server, sweeper, sweepAll, enter } = parts;
  let recovered = false;
  let closing: Promise<void> | null = null;

  async function start(show?: (admin: FirstAdmin) => void): Promise<string> {
    await server.listen({ host: config.host, port: config.port });
    // Not before the address is known to be free: the secret is shown once, and a failed start must not show it.
    await ensureAdmin(identity, configuredAdmin(config), show, (change) =>
      recordAdministrator(audit, 'LADING_ADMIN_SECRET', change),
    );
    const began = clock.monotonic();
    const found = await engine.start(store.wasClean);
    recovered = true;
    log.info({ ...found, clean: store.wasClean, ms: Math.round(clock.monotonic() - began) }, 'recovered');
    if (closing === null) {
      enter('ready');
      deliveries.start();
      void sweepAll();
      sweeper.start();
    }
    return addressOf(server, config);
  }

  void store.lost.then(() => {
    log.fatal({ data_dir: config.dataDir }, 'the data directory was moved, unmounted or replaced; the server stops');
    // From now on nothing may be acknowledged that the next server would not find.
    enter('stopping');
  });
  return {
    start,
    close: () => {
      closing ??= stop(parts, () => recovered);
      return closing;
    },
  };
}

/** @param recovered whether a start has checked everything that an unclean stop may have left */
async function stop(parts: LifecycleDeps, recovered: () => boolean): Promise<void> {
  const { config, store, kept, identity, audit, engine, deliveries, calls, audio, events, server } = parts;
  parts.enter('stopping');
  parts.sweeper.stop();
  const patience = config.shutdownSeconds * 1000;
  // Downloads may run as long as chunks; the rest of both is cut once the senders have been told why.
  const cut = setTimeout(() => server.server.closeAllConnections(), patience + LAST_REPLIES_MS);
  const closed = server.close();
  // Node closes connections that are idle now; one whose last reply is still to be sent would be kept for another request.
  const idle = setInterval(() => Server.prototype.closeIdleConnections.call(server.server), IDLE_CHECK_MS);
  const ended = await engine.stop(patience);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
  await deliveries.stop();
  await calls.close();
  await audio.close();
  events.close();
  await identity.close();
  await audit.close();
  await kept.close();
  // A start that ended before it checked what an unclean stop left must not mark the directory clean.
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
