/**
 * What signals do to the server:
 *
 *     SIGTERM, SIGINT   stop in order; a second one ends the process at once
 *     SIGHUP            reads the TLS certificate again and opens the log file again; a terminal that closes sends it too
 *     SIGUSR2           nothing
 *
 * Node ignores SIGPIPE by itself, and SIGUSR1 starts its inspector.
 */
import type { App } from '../compose/compose.ts';

/** Beyond the patience for running requests there is only syncing left; whatever hangs then hangs for good. */
const SPARE_SECONDS = 30;

/** Call it first of all, so that no signal ends a server that is about to start. */
export class Signals {
  #app: App | null = null;
  #stopping = false;
  /** A signal that arrived before the server existed. */
  #reloadAsked = false;

  constructor() {
    process.on('SIGHUP', () => {
      if (this.#app === null) this.#reloadAsked = true;
      else this.#app.reload();
    });
    process.on('SIGUSR2', () => {});
    // The terminal or pipe that they led to may be closed; the server goes on without.
    process.stdout.on('error', () => {});
    process.stderr.on('error', () => {});
  }

  /** True once a signal has asked for the end. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** From here on signals are for this server. */
  lead(app: App, shutdownSeconds: number): void {
    this.#app = app;
    const stop = (signal: NodeJS.Signals): void => {
      if (this.#stopping) process.exit(130);
      this.#stopping = true;
      this.#stop(app, signal, shutdownSeconds);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.once('exit', () => app.writeLastLines());
    // The log file that was opened may have been renamed since.
    if (this.#reloadAsked) app.reload();
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
