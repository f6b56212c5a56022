/** `lading settings`: shows the settings with which `lading serve` would start here, and the source of each. */
import type { Command } from 'commander';
import type { Compat } from '../../settings/compat.ts';
import { runLocally } from '../shared/command.ts';
import { UsageError } from '../shared/exit.ts';
import { table } from '../shared/values.ts';

interface SettingRow {
  name: string;
  /** Null when it is not set. A secret is shown as eight asterisks. */
  value: string | number | null;
  /** The environment variable (and `.env` if that file sets it), or `default`. */
  from: string;
}

interface Report {
  settings: SettingRow[];
  /** Exceptions for older programs, by family. */
  compat: Record<string, readonly string[]>;
  notes: string[];
  warnings: string[];
}

export function addSettings(root: Command): void {
  root
    .command('settings')
    .description('show the settings with which "lading serve" would start here; secrets are masked')
    .option('--all', 'include settings that have their default')
    .action(({ all = false }: { all?: boolean }, command: Command) =>
      runLocally(command, async (out) => {
        const report = await collectSettings(all);
        out.result(report, textOf(report, all));
      }),
    );
}

/** Reads the settings. Imports the modules of the server here, because few commands need them. */
async function collectSettings(all: boolean): Promise<Report> {
  const { loadConfig } = await import('../../settings/load-config.ts');
  const { ConfigError } = await import('../../settings/config-error.ts');
  const { readEnvironment } = await import('../../settings/environment.ts');
  const { sentencesOf } = await import('../../settings/compat.ts');
  const { SETTINGS } = await import('../../settings/settings.ts');
  try {
    const { env, fromFile, warnings: unknown } = readEnvironment();
    const { config, sources, notes, warnings } = loadConfig({}, env);
    const settings = SETTINGS.flatMap(({ name, env: variable, kind }): SettingRow[] => {
      const source = sources.get(name);
      if (source === undefined && !all) return [];
      const from = source === undefined ? 'default' : fromFile.has(source) ? `${source} in .env` : source;
      return [{ name: variable, value: shownValue(config[name], kind === 'secret'), from }];
    });
    const compat = Object.fromEntries(config.compat.families.map((family) => [family, sentencesOf(family)]));
    return { settings, compat, notes, warnings: [...unknown, ...warnings] };
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message);
    throw error;
  }
}

function shownValue(
  value: string | number | readonly string[] | Compat | null,
  isSecret: boolean,
): string | number | null {
  if (value === null || typeof value === 'number') return value;
  if (isSecret) return '*'.repeat(8);
  if (typeof value === 'string') return value;
  const list = 'families' in value ? value.families : value;
  return list.length > 0 ? list.join(',') : 'none';
}

function textOf({ settings, notes, warnings }: Report, all: boolean): string {
  const rows = settings.map(({ name, value, from }) => [name, value === null ? '' : String(value), from]);
  const none = 'All settings have their defaults. Use --all to show them.';
  return [rows.length > 0 || all ? table(rows) : none, ...notes, ...warnings].join('\n');
}
