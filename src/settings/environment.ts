/** Environment variables: those of the process, and those of `.env` in its working directory, which have lower precedence. */
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { CLIENT_VARIABLES } from './checks.ts';
import type { Environment } from './config.ts';
import { ConfigError } from './config-error.ts';
import { isOldSetting } from './old-names.ts';
import { SETTINGS } from './settings.ts';
import { FileReadError, readSmallFile } from './small-file.ts';

/** The variables that settings are read from. */
export interface LoadedEnvironment {
  env: Environment;
  /** Names of the variables that come from `.env`. */
  fromFile: ReadonlySet<string>;
  /** Lines for the log: unknown variables and invalid lines of `.env`. */
  warnings: string[];
}

/**
 * Reads `.env` in `directory` if it exists. Variables of the process take precedence.
 * @throws ConfigError if the file exists but cannot be read, because a server must not start without the settings in it
 */
export function readEnvironment(directory = workingDirectory(), env: Environment = process.env): LoadedEnvironment {
  const text = readIfExists(join(directory, '.env'));
  if (text === null) return { env, fromFile: new Set(), warnings: [] };
  const written = parseEnv(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'));
  const fromFile = new Set(Object.keys(written).filter((name) => env[name] === undefined));
  const unknown = [...fromFile].filter((name) => !isKnown(name)).sort();
  const warnings =
    unknown.length > 0 ? [`.env has variables that are not settings of the server: ${unknown.join(', ')}`] : [];
  const invalid = invalidLines(text);
  if (invalid.length > 0) {
    warnings.push(`.env has lines that are not NAME=VALUE; they were ignored: line ${invalid.join(', ')}`);
  }
  return { env: { ...written, ...env }, fromFile, warnings };
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new ConfigError(`the working directory does not exist (${code}); change to one that exists`);
  }
}

function readIfExists(path: string): string | null {
  try {
    return readSmallFile(path).toString('utf8');
  } catch (error) {
    if (!(error instanceof FileReadError)) throw error;
    // A directory of that name belongs to another program.
    if (error.code === 'ENOENT' || error.code === 'EISDIR') return null;
    throw new ConfigError(`.env in the working directory ${error.message}`);
  }
}

/** Line numbers, from 1, of lines that are neither settings nor comments. Their text may be secret, so only numbers are reported. */
function invalidLines(text: string): number[] {
  // A quoted value may span several lines: hide its text, but keep its line breaks.
  const flat = text.replaceAll(/=[ \t]*(["'`])[\s\S]*?\1/g, (value) => value.replaceAll(/[^\n]/g, '='));
  return flat.split('\n').flatMap((line, at) => (line.trim() === '' || /^\s*#|=/.test(line) ? [] : [at + 1]));
}

/** Unknown names that begin with LADING_ count as known here, because `findWarnings` reports them whatever their source. */
function isKnown(name: string): boolean {
  return (
    name.startsWith('LADING_') ||
    isOldSetting(name) ||
    CLIENT_VARIABLES.has(name) ||
    SETTINGS.some((setting) => setting.env === name)
  );
}
