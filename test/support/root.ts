import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The root of the source tree, independent of the working directory and of where the compiled tests are: the folder of the nearest
 * `package.json` above this file, with symbolic links resolved.
 */
export function repoRoot(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'package.json');
    if (existsSync(candidate)) return dirname(realpathSync(candidate));
    if (folder === dirname(folder)) throw new Error('no package.json above the tests');
  }
}
