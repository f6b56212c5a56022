/** Builds a server from its settings. Only this folder connects the parts of the server. */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { openClock } from '../clock/persistent-clock.ts';
import { schedule } from '../clock/schedule.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Store } from '../contracts/store.ts';
import type { Engine } from '../engine/engine.ts';
import type { ServerState } from '../http/deps.ts';
import { createLog } from '../http/observe/log.ts';
import { LogOutput } from '../http/observe/log-output.ts';
import type { MetricName } from '../http/observe/metric-help.ts';
import { Downloads } from '../http/send/downloads.ts';
import { buildServer } from '../http/server.ts';
import type { Config } from '../settings/config.ts';
import { BACKENDS, type Backend, type StoreOptions } from '../storage/backends.ts';
import { type Lifecycle, lifecycle } from './lifecycle.ts';
import { federatedProviders } from './outgoing.ts';
import { reload } from './reload.ts';
import { openServices, type Services } from './services.ts';
import { sweep } from './sweep.ts';

/** A composed server. */
export interface App extends Lifecycle {
  server: FastifyInstance;
  engine: Engine;
  log: Logger;
  /** Resolves when the data directory was moved, unmounted or replaced. The process must then exit. */
  readonly lost: Promise<void>;
  /** Reloads the TLS certificate and key for new connections, and reopens the log file. A failure is logged and leaves the old ones in use. */
  reload(): void;
  /** Waits up to half a second for the log to be written. Call it right before the process exits. */
  writeLastLines(): void;
}

/** Dependencies that tests replace. */
export interface Substitutes {
  clock?: Clock;
  backend?: Backend;
  disk?: StoreOptions['disk'];
  threads?: StoreOptions['threads'];
  log?: Logger;
  /** How long a followed download waits for the next change of its file, in milliseconds. */
  followSilenceMs?: number;
}

const FOLLOW_SILENCE_MS = 60_000;

/**
 * Opens the data directory and builds the server; nothing listens yet.
 * @throws DirectoryInUse; Error when the log file cannot be written or the disk fails
 */
export async function compose(config: Config, substitutes: Substitutes = {}): Promise<App> {
  const output = logOutput(config);
  const log = substitutes.log ?? createLog(config.logLevel, output);
  const warn = (message: string, details: object): void => log.warn(details, message);
  const store = await (substitutes.backend ?? BACKENDS[config.storage]).open({
    dataDir: config.dataDir,
    workers: config.workers,
    ...(substitutes.disk ? { disk: substitutes.disk } : {}),
    ...(substitutes.threads ? { threads: substitutes.threads } : {}),
  });
  try {
    const persistentClock = await openClock(store.dateBox, warn);
    const clock = substitutes.clock ?? persistentClock.clock;
    const services = await openServices({ config, store, clock, log, warn });
    let state: ServerState = 'starting';
    // Half of what uploads may hold, so that neither side can starve the other.
    const downloads = new Downloads({ bytes: config.bufferBytes / 2, idleMs: config.idleSeconds * 1000 });
    const server = buildServer({
      ...services,
      config,
      downloads,
      followSilenceMs: substitutes.followSilenceMs ?? FOLLOW_SILENCE_MS,
      federation: federatedProviders(config, clock, warn),
      clock,
      log,
      state: () => state,
      storage: store.health,
      gauges: () => gaugesOf(store, services, downloads, output),
    });
    const setState = (next: ServerState): void => {
      state = next;
    };
    const sweepAll = (): Promise<void> => sweep({ ...services, log });
    const sweeper = schedule(config.cleanupCron, clock, sweepAll);
    const life = lifecycle({
      ...services,
      config,
      store,
      persistentClock,
      clock,
      log,
      server,
      sweeper,
      sweepAll,
      setState,
    });
    return {
      server,
      engine: services.engine,
      log,
      lost: store.lost,
      start: life.start,
      close: life.close,
      reload: () => reload({ config, log, output, server }),
      writeLastLines: () => output.end(),
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function logOutput({ logFile }: Config): LogOutput {
  try {
    return new LogOutput({ file: logFile });
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? error.code : error;
    throw new Error(`LADING_LOG_FILE names a file that cannot be written (${why}): ${JSON.stringify(logFile)}`);
  }
}

function gaugesOf(
  store: Store,
  { engine, deliveries, audit }: Services,
  downloads: Downloads,
  output: LogOutput,
): Record<MetricName, number> {
  return {
    ...store.gauges(),
    ...engine.gauges(),
    ...deliveries.gauges(),
    sign_ins_failed_total: audit.refusedSignIns,
    log_dropped_lines_total: output.dropped,
    downloads: downloads.active,
    download_buffer_bytes: downloads.pool.lent,
  };
}
