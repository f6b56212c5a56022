/**
 * What signals do to the server:
 *
 *     SIGTERM, SIGINT   stop the server in order; a second one ends the process at once
 *     SIGHUP            reloads the TLS certificate and reopens the log file; also sent when a terminal closes
 *     SIGUSR2           has no effect
 *
 * Node ignores SIGPIPE by itself, and SIGUSR1 starts its inspector.
 */
import type { App } from '../compose/compose.ts';

/** After the time for running requests, only syncs remain. A stop that takes this much longer hangs. */
const SPARE_SECONDS = 30;

/** Handles signals. To be created first of all, so that no signal ends a starting server. */
export class Signals {
  #app: App | null = null;
  #stopping = false;
  /** A signal that arrived before the server existed. */
  #reloadRequested = false;

  constructor() {
    process.on('SIGHUP', () => {
      if (this.#app === null) this.#reloadRequested = true;
      else this.#app.reload();
    });
    process.on('SIGUSR2', () => {});
    // Their terminal or pipe may be closed. The server continues without it.
    process.stdout.on('error', () => {});
    process.stderr.on('error', () => {});
  }

  /** True once a signal has requested the stop. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Applies signals to this server from now on. */
  attach(app: App, shutdownSeconds: number): void {
    this.#app = app;
    const stop = (signal: NodeJS.Signals): void => {
      if (this.#stopping) process.exit(130);
      this.#stopping = true;
      this.#stop(app, signal, shutdownSeconds);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.once('exit', () => app.writeLastLines());
    // The log file may have been renamed since it was opened.
    if (this.#reloadRequested) app.reload();
  }

  #stop(app: App, signal: NodeJS.Signals, shutdownSeconds: number): void {
    app.log.info({ signal }, 'stopping');
    const deadline = setTimeout(
      () => {
        app.log.error('the stop took too long; what was acknowledged is safe, the next start replays the journals');
        process.exit(1);
      },
      (shutdownSeconds + SPARE_SECONDS) * 1000,
    );
    app.close().then(
      () => {
        clearTimeout(deadline);
        process.exit(0);
      },
      (error: unknown) => {
        app.log.error({ err: error }, 'the stop was not clean');
        process.exit(1);
      },
    );
  }
}
