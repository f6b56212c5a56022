/**
 * Process entry of the server: settings in, a running server out, a clean end on a signal.
 * Standard output is for what a person should see once; the log goes to standard error.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { App } from './compose/compose.ts';
import { availableResources, checkRequirements } from './machine/requirements.ts';
import { announcement, firstAdminLines } from './process/announcement.ts';
import { Signals } from './process/signals.ts';
import { startError } from './process/start-error.ts';
import type { Loaded } from './settings/config.ts';
import { ConfigError } from './settings/config-error.ts';
import { type FoundEnvironment, findEnvironment } from './settings/environment.ts';
import { parseFlags } from './settings/flags.ts';
import { loadConfig } from './settings/load-config.ts';

/** Runs the server until it is told to stop. `argv`: the flags after `lading serve`. */
export async function serve(argv: readonly string[]): Promise<void> {
  const signals = new Signals();
  let loaded: Loaded;
  let found: FoundEnvironment;
  try {
    found = findEnvironment();
    loaded = loadConfig(parseFlags(argv), found.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`lading: ${error.message}`);
    process.exitCode = 2;
    return;
  }
  const { config } = loaded;
  const room = checkRequirements(availableResources(), config.bufferBytes);
  if (room.refusal !== null) {
    console.error(`lading: ${room.refusal}`);
    process.exitCode = 1;
    return;
  }
  let app: App;
  try {
    // Not before: it loads hundreds of files at once.
    const { compose } = await import('./compose/compose.ts');
    app = await compose(config);
  } catch (error) {
    console.error(`lading: ${startError(error, config)}`);
    process.exitCode = 1;
    return;
  }
  for (const note of loaded.notes) app.log.info(note);
  for (const warning of [...found.warnings, ...loaded.warnings, ...room.warnings]) app.log.warn(warning);
  signals.lead(app, config.shutdownSeconds);
  let isLost = false;
  void app.lost.then(() => {
    isLost = true;
    endWithoutData(app);
  });
  try {
    const address = await app.start((admin) => console.log(firstAdminLines(admin).join('\n')));
    for (const line of announcement({ config, address })) console.log(line);
  } catch (error) {
    // A start that a signal or the loss of the data directory broke off: what did so also ends the process.
    if (signals.stopping || isLost) return;
    console.error(`lading: ${startError(error, config)}`);
    await app.close().catch(() => {});
    process.exit(1);
  }
}

/** How long answers to what still runs may take to get out when the data directory is lost, in milliseconds. */
const LAST_ANSWERS_MS = 1_000;

/** Ends the process, failed: nothing can be put in order in a directory that is not there. */
function endWithoutData(app: App): void {
  console.error('lading: the data directory was moved, unmounted or replaced; put it back and start the server again');
  setTimeout(() => process.exit(1), LAST_ANSWERS_MS);
  app.close().catch(() => {});
}

const started = process.argv[1];
if (started && realpathSync(started) === fileURLToPath(import.meta.url)) await serve(process.argv.slice(2));
