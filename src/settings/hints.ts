/** What was probably meant by a setting that is not known, as it follows its name in a sentence. */
import { nearest } from './misspelt.ts';
import { SETTINGS } from './settings.ts';

/** Names as short as `port` may differ by half of their characters: two that change places count as two. */
const SHORT_NAME = 6;
const PREFIX = 'LADING_';

/** ` (did you mean X?)`, or nothing where no known name is near. @param share one character of so many may differ */
export function hint(name: string, known: readonly string[], share = name.length > SHORT_NAME ? 3 : 2): string {
  const near = nearest(name, known, share);
  return near === null ? '' : ` (did you mean ${near}?)`;
}

/** The same for a variable. What follows the prefix that all of them have is compared. */
export function variableHint(variable: string): string {
  const names = SETTINGS.filter(({ env }) => env.startsWith(PREFIX)).map(({ env }) => env.slice(PREFIX.length));
  return hint(variable.slice(PREFIX.length), names).replace('mean ', `mean ${PREFIX}`);
}
