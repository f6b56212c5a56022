/**
 * Entry point of the server process. Reads the settings, starts the server, and stops it on a signal.
 * Standard output shows what an operator needs once. The log goes to standard error.
 */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { App } from './compose/compose.ts';
import { availableResources, checkRequirements } from './machine/requirements.ts';
import { announcement, firstAdminLines } from './process/announcement.ts';
import { Signals } from './process/signals.ts';
import { startError } from './process/start-error.ts';
import type { LoadedConfig } from './settings/config.ts';
import { ConfigError } from './settings/config-error.ts';
import { type LoadedEnvironment, readEnvironment } from './settings/environment.ts';
import { parseFlags } from './settings/flags.ts';
import { loadConfig } from './settings/load-config.ts';

/** Runs the server until a signal stops it. @param argv the flags after `lading serve` */
export async function serve(argv: readonly string[]): Promise<void> {
  const signals = new Signals();
  let loaded: LoadedConfig;
  let found: LoadedEnvironment;
  try {
    found = readEnvironment();
    loaded = loadConfig(parseFlags(argv), found.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`lading: ${error.message}`);
    process.exitCode = 2;
    return;
  }
  const { config } = loaded;
  const resources = checkRequirements(availableResources(), config.bufferBytes);
  if (resources.refusal !== null) {
    console.error(`lading: ${resources.refusal}`);
    process.exitCode = 1;
    return;
  }
  let app: App;
  try {
    // Imported only now, because it loads hundreds of files.
    const { compose } = await import('./compose/compose.ts');
    app = await compose(config);
  } catch (error) {
    console.error(`lading: ${startError(error, config)}`);
    process.exitCode = 1;
    return;
  }
  for (const note of loaded.notes) app.log.info(note);
  for (const warning of [...found.warnings, ...loaded.warnings, ...resources.warnings]) app.log.warn(warning);
  signals.attach(app, config.shutdownSeconds);
  let isLost = false;
  void app.lost.then(() => {
    isLost = true;
    endWithoutData(app);
  });
  try {
    const address = await app.start((admin) => console.log(firstAdminLines(admin).join('\n')));
    for (const line of announcement({ config, address })) console.log(line);
  } catch (error) {
    // A signal or the loss of the data directory interrupted the start, and also ends the process.
    if (signals.stopping || isLost) return;
    console.error(`lading: ${startError(error, config)}`);
    await app.close().catch(() => {});
    process.exit(1);
  }
}

/** How long the last replies may take after the data directory is lost, in milliseconds. */
const LAST_REPLIES_MS = 1_000;

/** Ends the process with an error. A clean stop is impossible without the data directory. */
function endWithoutData(app: App): void {
  console.error('lading: the data directory was moved, unmounted or replaced; put it back and start the server again');
  setTimeout(() => process.exit(1), LAST_REPLIES_MS);
  app.close().catch(() => {});
}

const started = process.argv[1];
if (started && realpathSync(started) === fileURLToPath(import.meta.url)) await serve(process.argv.slice(2));
