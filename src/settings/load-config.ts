/** Reads the settings from flags and the environment into one validated object. */
import { checkTogether, warningsOf } from './checks.ts';
import type { Config, Environment, Flags, Loaded } from './config.ts';
import { ConfigError } from './config-error.ts';
import { takeOldSettings } from './old-names.ts';
import { PARSERS, Refused } from './parsers.ts';
import { SETTINGS, type Setting } from './settings.ts';
import { NotRead, readSmallFile } from './small-file.ts';

interface Source {
  text: string;
  /** The name that errors use: `LADING_PORT`, `--port`, or `PORT`, the name in an older server. */
  label: string;
  isDefault?: true;
}

function sourceOf(setting: Setting, env: Environment, flags: Flags): Source | null {
  const flag = flags[setting.flag];
  if (flag !== undefined) return { text: flag.trim(), label: `--${setting.flag}` };
  const text = env[setting.env]?.trim();
  // An empty variable counts as absent: that is how container files and unit files unset one.
  if (text !== undefined && text !== '') return { text, label: setting.env };
  return setting.default === null ? null : { text: setting.default, label: setting.env, isDefault: true };
}

function read(setting: Setting, source: Source): unknown {
  try {
    if (source.text === '') throw new Refused('must not be empty');
    return PARSERS[setting.kind](source.text, setting);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const shown = setting.kind === 'secret' ? '' : `, not ${JSON.stringify(source.text.slice(0, 80))}`;
    throw new ConfigError(`${source.label} ${error.message}${shown}`);
  }
}

function readPem(path: string, label: string): Buffer {
  try {
    return readSmallFile(path);
  } catch (error) {
    if (!(error instanceof NotRead)) throw error;
    throw new ConfigError(`${label} names a file that ${error.message}: ${JSON.stringify(path)}`);
  }
}

/**
 * Reads and checks every setting. A flag takes precedence over the environment.
 * @throws ConfigError with one line that names the bad setting
 */
export function loadConfig(flags: Flags, given: Environment): Loaded {
  const table: readonly Setting[] = SETTINGS;
  const old = takeOldSettings(
    given,
    (name) => table.some(({ env, kind }) => env === name && kind === 'secret'),
    (name) => table.some(({ env, flag }) => env === name && flags[flag] !== undefined),
  );
  const values: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const setting of table) {
    const source = sourceOf(setting, old.env, flags);
    const label = source?.label === setting.env ? (old.taken.get(setting.env) ?? setting.env) : source?.label;
    values[setting.name] = source === null ? null : read(setting, { ...source, label: label ?? setting.env });
    if (label !== undefined && source?.isDefault !== true) sources.set(setting.name, label);
  }
  // The table ties names to kinds, and the loop above parsed each value by its kind.
  const config = values as Omit<Config, 'tls'>;
  checkTogether(config);
  const tls = readTls(config);
  const compat = config.compat.lines();
  const warnings = [...old.warnings, ...compat.warnings, ...warningsOf(config, given)];
  return { config: Object.freeze({ ...config, tls }), warnings, notes: [...old.notes, ...compat.notes], sources };
}

/**
 * Reads the certificate and its key from their files; null without TLS.
 * @throws ConfigError when a file cannot be read
 */
export function readTls({ tlsCert, tlsKey }: Pick<Config, 'tlsCert' | 'tlsKey'>): Config['tls'] {
  if (tlsCert === null || tlsKey === null) return null;
  return { cert: readPem(tlsCert, 'LADING_TLS_CERT'), key: readPem(tlsKey, 'LADING_TLS_KEY') };
}
