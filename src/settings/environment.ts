/** The variables that settings are read from: those of the process, and under them those of `.env` in its working directory. */
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { CLIENT_VARIABLES } from './checks.ts';
import type { Environment } from './config.ts';
import { ConfigError } from './config-error.ts';
import { isOldSetting } from './old-names.ts';
import { SETTINGS } from './settings.ts';
import { NotRead, readSmallFile } from './small-file.ts';

export interface FoundEnvironment {
  env: Environment;
  /** Names that `.env` alone sets. */
  fromFile: ReadonlySet<string>;
  warnings: string[];
}

/**
 * Reads `.env` of `folder`, if there is one; what the process has wins.
 * @throws ConfigError for a file that cannot be read: a server must not start without the settings that somebody wrote down
 */
export function findEnvironment(folder = workingDirectory(), env: Environment = process.env): FoundEnvironment {
  const text = readIfThere(join(folder, '.env'));
  if (text === null) return { env, fromFile: new Set(), warnings: [] };
  const written = parseEnv(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'));
  const fromFile = new Set(Object.keys(written).filter((name) => env[name] === undefined));
  const foreign = [...fromFile].filter((name) => !isKnown(name)).sort();
  const warnings = foreign.length > 0 ? [`.env sets what is no setting of the server: ${foreign.join(', ')}`] : [];
  const odd = oddLines(text);
  if (odd.length > 0) {
    warnings.push(`.env has lines that are not NAME=VALUE; they were ignored: line ${odd.join(', ')}`);
  }
  return { env: { ...written, ...env }, fromFile, warnings };
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError(`the working directory is not there any more (${code}); change to one that exists`);
  }
}

function readIfThere(path: string): string | null {
  try {
    return readSmallFile(path).toString('utf8');
  } catch (error) {
    if (!(error instanceof NotRead)) throw error;
    // A folder of that name is one of another program's.
    if (error.code === 'ENOENT' || error.code === 'EISDIR') return null;
    throw new ConfigError(`.env in the working directory ${error.message}`);
  }
}

/** Numbers of lines, from 1, that set nothing and are no comment. What they say may be a secret. */
function oddLines(text: string): number[] {
  // A value in quotes may have several lines.
  const flat = text.replaceAll(/=[ \t]*(["'`])[\s\S]*?\1/g, (value) => value.replaceAll(/[^\n]/g, '='));
  return flat.split('\n').flatMap((line, at) => (line.trim() === '' || /^\s*#|=/.test(line) ? [] : [at + 1]));
}

/** Unknown names that begin with LADING_ get a warning of their own, wherever they are set. */
function isKnown(name: string): boolean {
  return (
    name.startsWith('LADING_') ||
    isOldSetting(name) ||
    CLIENT_VARIABLES.has(name) ||
    SETTINGS.some((setting) => setting.env === name)
  );
}
