/** Which Lading this is. */
import { readFileSync } from 'node:fs';

/** The version in package.json; `unknown` without that file. */
export function version(): string {
  for (let folder = new URL('.', import.meta.url); folder.pathname !== '/'; folder = new URL('..', folder)) {
    try {
      const text = readFileSync(new URL('package.json', folder), 'utf8');
      const { name, version: found }: { name?: unknown; version?: unknown } = JSON.parse(text);
      if (name === 'lading' && typeof found === 'string') return found;
    } catch {
      // Further up.
    }
  }
  return 'unknown';
}
