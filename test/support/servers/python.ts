/** Python packages that tests need, in virtual environments outside the tree. */
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
python3 -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
touch "$folder/complete"
`;

/**
 * Installs packages unless they are installed.
 * @param packages as pip takes them, with their versions
 * @returns the folder of the environment's programs (`python` and those of the packages), or the reason why it is missing
 */
export async function pythonWith(packages: readonly string[]): Promise<{ programs: string } | { missing: string }> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'lading');
  const folder = join(cache, packages.join('-').replaceAll(/[^A-Za-z0-9.]+/g, '-'));
  const programs = join(folder, 'bin');
  if (existsSync(join(folder, 'complete'))) return { programs };
  try {
    await mkdir(cache, { recursive: true });
    await execute('flock', [`${folder}.lock`, 'sh', '-c', INSTALL, 'sh', folder, ...packages]);
    return { programs };
  } catch (error) {
    const missing =
      `${packages.join(' ')} cannot be installed: ${(error as Error).message.slice(-500)}\n` +
      `It needs python3 with its module venv (on Debian: apt-get install python3-venv) and a package index.\n`;
    return { missing };
  }
}
