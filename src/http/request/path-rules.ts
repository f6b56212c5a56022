/** What a protocol says of the paths below its folder, for checks that come before any route. */
import type { LadingError } from '../../errors.ts';

export interface PathRules {
  /** The folder, with a slash at its end. */
  folder: string;
  /** Segments of any length reach the routes, which refuse names that are too long in words of their own. */
  anyLength?: true;
  /** The refusal of a path that is not percent-encoded UTF-8. */
  undecodable(): LadingError;
}
