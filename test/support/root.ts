import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The folder of the source tree, wherever the compiled tests lie and whatever the working directory is: the nearest
 * `package.json` above this file, its links followed.
 */
export function repoRoot(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'package.json');
    if (existsSync(candidate)) return dirname(realpathSync(candidate));
    if (folder === dirname(folder)) throw new Error('no package.json above the tests');
  }
}
