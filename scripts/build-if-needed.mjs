// Runs before `npm start`: builds if the sources are newer than the build. Plain JavaScript, because it runs before any build, and only
// modules of Node, because a packed build is installed without the build tools.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const SOURCES = ['src', 'workers', 'package.json', 'package-lock.json', 'tsconfig.json'];
// The server, and a file that the last step of a build writes.
const BUILT = ['dist/src/main.js', 'dist/src/dashboard/index.html'];

/** Modification time of a file, or of the newest file in a folder; 0 if it does not exist. */
function changedAt(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => changedAt(join(path, name))));
}

function isStale() {
  // A packed build has no sources.
  if (!existsSync(join(root, 'src'))) return false;
  const newest = Math.max(...SOURCES.map((path) => changedAt(join(root, path))));
  return BUILT.some((path) => !existsSync(join(root, path))) || newest > changedAt(join(root, BUILT[1]));
}

if (isStale()) {
  const built = BUILT.every((path) => existsSync(join(root, path)));
  if (existsSync(join(root, 'node_modules/typescript'))) {
    console.log(built ? 'The sources are newer than the build. Building …' : 'There is no build yet. Building …');
    const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' });
    process.exitCode = status ?? 1;
  } else if (built) {
    console.error(
      'The sources are newer than the build, but the build tools are not installed. Starting the old build.',
    );
  } else {
    console.error('There is no build, and the build tools are not installed. Run "npm ci" without --omit=dev.');
    process.exitCode = 1;
  }
}
