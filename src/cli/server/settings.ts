/** `lading settings`: what `lading serve` would start with here, and where each setting comes from. */
import type { Command } from 'commander';
import type { Compat } from '../../settings/compat.ts';
import { EXIT, exitCodeOf, UsageError } from '../shared/exit.ts';
import { Output } from '../shared/output.ts';
import type { GlobalOptions } from '../shared/settings.ts';
import { table } from '../shared/values.ts';

interface SettingRow {
  name: string;
  /** Null: none. A secret that is set is eight asterisks. */
  value: string | number | null;
  /** A variable (with .env where that file sets it), or the default. */
  from: string;
}

interface Report {
  settings: SettingRow[];
  /** By family: what is loosened for its programs. */
  compat: Record<string, readonly string[]>;
  notes: string[];
  warnings: string[];
}

export function addSettings(root: Command): void {
  root
    .command('settings')
    .description('show the settings that "lading serve" would start with here; secrets are masked')
    .option('--all', 'those that have their default too')
    .action(async ({ all = false }: { all?: boolean }, command: Command) => {
      const out = new Output(command.optsWithGlobals<GlobalOptions>());
      try {
        const told = await collectSettings(all);
        out.result(told, textOf(told, all));
        process.exitCode = EXIT.ok;
      } catch (error) {
        out.error(error);
        process.exitCode = exitCodeOf(error);
      }
    });
}

/** Loads the server's settings only now: few commands need them. */
async function collectSettings(all: boolean): Promise<Report> {
  const { loadConfig } = await import('../../settings/load-config.ts');
  const { ConfigError } = await import('../../settings/config-error.ts');
  const { findEnvironment } = await import('../../settings/environment.ts');
  const { sentencesOf } = await import('../../settings/compat.ts');
  const { SETTINGS } = await import('../../settings/settings.ts');
  try {
    const { env, fromFile, warnings: foreign } = findEnvironment();
    const { config, sources, notes, warnings } = loadConfig({}, env);
    const settings = SETTINGS.flatMap(({ name, env: variable, kind }): SettingRow[] => {
      const source = sources.get(name);
      if (source === undefined && !all) return [];
      const from = source === undefined ? 'default' : fromFile.has(source) ? `${source} in .env` : source;
      return [{ name: variable, value: shownValue(config[name], kind === 'secret'), from }];
    });
    const compat = Object.fromEntries(config.compat.families.map((family) => [family, sentencesOf(family)]));
    return { settings, compat, notes, warnings: [...foreign, ...warnings] };
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
  const none = 'Every setting has its default; --all shows them.';
  return [rows.length > 0 || all ? table(rows) : none, ...notes, ...warnings].join('\n');
}
