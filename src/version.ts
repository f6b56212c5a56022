/** The version of Lading. */
import { readFileSync } from 'node:fs';

/** The version in package.json; `unknown` without that file. */
export function version(): string {
  for (
    let directory = new URL('.', import.meta.url);
    directory.pathname !== '/';
    directory = new URL('..', directory)
  ) {
    try {
      const text = readFileSync(new URL('package.json', directory), 'utf8');
      const { name, version: found }: { name?: unknown; version?: unknown } = JSON.parse(text);
      if (name === 'lading' && typeof found === 'string') return found;
    } catch {
      // Try the next directory above.
    }
  }
  return 'unknown';
}
