/** The flags of `lading serve`. */
import { parseArgs } from 'node:util';
import type { Flags } from './config.ts';
import { ConfigError } from './config-error.ts';
import { hint } from './hints.ts';
import { SETTINGS } from './settings.ts';

/** Rewrites `--flag -1` as `--flag=-1`, so that the error names the invalid value instead of an unknown option. */
function withValues(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of argv) {
    const last = joined.at(-1);
    if (/^-\d/.test(word) && last !== undefined && /^--[^=]+$/.test(last)) joined.push(`${joined.pop()}=${word}`);
    else joined.push(word);
  }
  return joined;
}

/**
 * Parses the flags of `lading serve`.
 * @param argv the arguments after the name of the command
 * @throws ConfigError for an unknown flag, a flag without a value, or an argument that is not a flag
 */
export function parseFlags(argv: readonly string[]): Flags {
  const options = Object.fromEntries(SETTINGS.map((setting) => [setting.flag, { type: 'string' as const }]));
  try {
    const { values } = parseArgs({ args: withValues(argv), options, strict: true, allowPositionals: false });
    return Object.fromEntries(
      Object.entries(values).map(([flag, value]) => [flag, typeof value === 'string' ? value : undefined]),
    );
  } catch (error) {
    const [line = 'bad flags'] = error instanceof Error ? error.message.split('\n') : [];
    const [, flag] = /^Unknown option '--([^']+)'/.exec(line) ?? [];
    const near =
      flag === undefined
        ? ''
        : hint(
            flag,
            Object.keys(options).map((known) => `--${known}`),
          );
    throw new ConfigError(`${line}${near}; "lading serve --help" lists the flags`);
  }
}
