/** Suggestions for unknown settings, worded to follow the unknown name in a sentence. */
import { nearest } from './misspelt.ts';
import { SETTINGS } from './settings.ts';

/** Names of up to this length may differ in half of their characters, because two swapped characters count as two. */
const SHORT_NAME = 6;
const PREFIX = 'LADING_';

/**
 * Returns ` (did you mean X?)`, or an empty text if no known name is similar.
 * @param share one character in `share` may differ
 */
export function hint(name: string, known: readonly string[], share = name.length > SHORT_NAME ? 3 : 2): string {
  const near = nearest(name, known, share);
  return near === null ? '' : ` (did you mean ${near}?)`;
}

/** Like `hint`, for a variable. Compares names without the prefix `LADING_`, which would make all of them similar. */
export function variableHint(variable: string): string {
  const names = SETTINGS.filter(({ env }) => env.startsWith(PREFIX)).map(({ env }) => env.slice(PREFIX.length));
  return hint(variable.slice(PREFIX.length), names).replace('mean ', `mean ${PREFIX}`);
}
