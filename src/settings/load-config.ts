/** Reads the settings from flags and the environment into one validated object. */
import { checkCombinations, findWarnings } from './checks.ts';
import type { Config, Environment, Flags, LoadedConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import { applyOldSettings } from './old-names.ts';
import { InvalidValue, PARSERS } from './parsers.ts';
import { SETTINGS, type Setting } from './settings.ts';
import { FileReadError, readSmallFile } from './small-file.ts';

/** The text of one setting, and where it comes from. */
interface Source {
  text: string;
  /** The name in errors: `LADING_PORT`, `--port`, or `PORT` for a setting of an older server. */
  label: string;
  isDefault?: true;
}

function sourceOf(setting: Setting, env: Environment, flags: Flags): Source | null {
  const flag = flags[setting.flag];
  if (flag !== undefined) return { text: flag.trim(), label: `--${setting.flag}` };
  const text = env[setting.env]?.trim();
  // An empty variable counts as absent, because container and unit files can unset a variable only by emptying it.
  if (text !== undefined && text !== '') return { text, label: setting.env };
  return setting.default === null ? null : { text: setting.default, label: setting.env, isDefault: true };
}

function read(setting: Setting, source: Source): unknown {
  try {
    if (source.text === '') throw new InvalidValue('must not be empty');
    return PARSERS[setting.kind](source.text, setting);
  } catch (error) {
    if (!(error instanceof InvalidValue)) throw error;
    const shown = setting.kind === 'secret' ? '' : `, not ${JSON.stringify(source.text.slice(0, 80))}`;
    throw new ConfigError(`${source.label} ${error.message}${shown}`);
  }
}

function readPem(path: string, label: string): Buffer {
  try {
    return readSmallFile(path);
  } catch (error) {
    if (!(error instanceof FileReadError)) throw error;
    throw new ConfigError(`${label} names a file that ${error.message}: ${JSON.stringify(path)}`);
  }
}

/**
 * Reads and checks every setting. A flag takes precedence over the environment.
 * @throws ConfigError with one line that names the invalid setting
 */
export function loadConfig(flags: Flags, given: Environment): LoadedConfig {
  const table: readonly Setting[] = SETTINGS;
  const old = applyOldSettings(
    given,
    (name) => table.some(({ env, kind }) => env === name && kind === 'secret'),
    (name) => table.some(({ env, flag }) => env === name && flags[flag] !== undefined),
  );
  const values: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const setting of table) {
    const source = sourceOf(setting, old.env, flags);
    const label = source?.label === setting.env ? (old.oldNames.get(setting.env) ?? setting.env) : source?.label;
    values[setting.name] = source === null ? null : read(setting, { ...source, label: label ?? setting.env });
    if (label !== undefined && source?.isDefault !== true) sources.set(setting.name, label);
  }
  // The table ties names to kinds, and the loop above parsed each value by its kind.
  const config = values as Omit<Config, 'tls'>;
  checkCombinations(config);
  const tls = readTls(config);
  const compat = config.compat.lines();
  const warnings = [...old.warnings, ...compat.warnings, ...findWarnings(config, given)];
  return { config: Object.freeze({ ...config, tls }), warnings, notes: [...old.notes, ...compat.notes], sources };
}

/**
 * Reads the certificate and its key from their files. Returns null if neither is configured.
 * @throws ConfigError if a file cannot be read
 */
export function readTls({ tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>): Config['tls'] {
  if (tlsCert === null || tlsKey === null) return null;
  return { cert: readPem(tlsCert, 'LADING_TLS_CERT'), key: readPem(tlsKey, 'LADING_TLS_KEY') };
}
