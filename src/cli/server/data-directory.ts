/** Commands that work on the data directory of a stopped server. */
import type { OfflineIdentity } from '../../compose/offline-identity.ts';
import type { Config } from '../../settings/config.ts';
import { UsageError } from '../shared/exit.ts';

interface Options {
  /** The `--data-dir` option; undefined selects the directory of `lading serve`. */
  dataDir: string | undefined;
  /** Create the directory if it does not exist. */
  make?: boolean;
  /** Called with the settings before the directory is opened. */
  check?: (config: Config) => void;
}

/**
 * Opens the data directory, runs `body` and closes it. Imports the modules of the server here, because few commands need them.
 * @param body receives null when the directory holds no data and `make` is false
 * @throws UsageError for invalid settings; Error while a server uses the directory
 */
export async function withDataDirectory<T>(
  { dataDir, make = false, check }: Options,
  body: (opened: OfflineIdentity | null, config: Config) => Promise<T>,
): Promise<T> {
  const { loadConfig } = await import('../../settings/load-config.ts');
  const { ConfigError } = await import('../../settings/config-error.ts');
  const { parseFlags } = await import('../../settings/flags.ts');
  const { readEnvironment } = await import('../../settings/environment.ts');
  const { openIdentity } = await import('../../compose/offline-identity.ts');
  try {
    const flags = parseFlags(dataDir === undefined ? [] : ['--data-dir', dataDir]);
    const { config } = loadConfig(flags, readEnvironment().env);
    check?.(config);
    const opened = await openIdentity(config, { make });
    try {
      return await body(opened, config);
    } finally {
      await opened?.close();
    }
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    if (!(error instanceof Error) || error.name !== 'DirectoryInUse') throw error;
    throw new Error(`The ${error.message}. Stop the server first.`);
  }
}
