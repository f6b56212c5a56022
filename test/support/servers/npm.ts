/** Packages of npm that only tests need. They are installed outside the tree and kept for the next run. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Installs under a lock, because two tests may need the same packages at once. An interrupted installation is repeated. */
const INSTALL = `set -e
folder=$1; shift
[ ! -e "$folder/complete" ] || exit 0
rm -rf "$folder"
mkdir -p "$folder"
cd "$folder"
echo '{"private":true}' > package.json
npm install --no-audit --no-fund --loglevel=error "$@"
touch complete
`;

/**
 * Installs packages unless they are installed.
 * @param packages with exact versions, `name@1.2.3`
 * @returns the folder that has them in `node_modules`, or the reason why it is missing
 */
export async function npmWith(packages: readonly string[]): Promise<{ folder: string } | { missing: string }> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'lading');
  const folder = join(cache, `npm-${packages.join('-').replaceAll(/[^A-Za-z0-9.]+/g, '-')}`);
  if (existsSync(join(folder, 'complete'))) return { folder };
  try {
    await mkdir(cache, { recursive: true });
    await execute('flock', [`${folder}.lock`, 'sh', '-c', INSTALL, 'sh', folder, ...packages]);
    return { folder };
  } catch (error) {
    return { missing: `${packages.join(' ')} cannot be installed: ${(error as Error).message.slice(-500)}` };
  }
}
