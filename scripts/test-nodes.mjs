// Runs the core tests with the other supported versions of Node: `npm run test:nodes`, or `npm run test:nodes -- 24` for one of them.
// Installs versions from the npm package `node` into ~/.cache/lading. Plain JavaScript, because it runs without a build.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const VERSIONS = ['20', '22', '24'];
const FOLDERS = ['protocol', 'workers'];
const FILES = [
  ...[
    'body/body-writer',
    'uploads/commit',
    'uploads/seal',
    'upkeep/recover',
    'upkeep/sweep',
    'receive/file-upload',
  ].map((name) => `engine/${name}`),
  ...['native/download', 'native/files', 'native/status', 'native/upload'].map((name) => `http/${name}`),
  ...['body/content', 'connection/request-checks', 'connection/tls', 'send/downloads', 'signin/token'].map(
    (name) => `http/${name}`,
  ),
  ...['tus/core', 'resumable/core', 'client/transfer/upload', 'audio/sound', 'process/signals'],
];

/** The path of this version of Node, which is installed if necessary; null if that fails. */
function nodeOf(version) {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath;
  const folder = join(homedir(), '.cache/lading', `node-${version}`);
  const program = join(folder, 'node_modules/node/bin/node');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts=false', `node@${version}`];
  spawnSync('npm', args, { stdio: 'inherit' });
  return existsSync(program) ? program : null;
}

const built = join(root, 'dist/test');
const inFolders = FOLDERS.flatMap((folder) =>
  readdirSync(join(built, folder), { recursive: true })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(built, folder, name)),
);
const files = [...inFolders.sort(), ...FILES.map((name) => join(built, `${name}.test.js`))];

const requested = process.argv.slice(2);
// `npm test` covers the current version.
const others = VERSIONS.filter((version) => !process.versions.node.startsWith(`${version}.`));
for (const version of requested.length > 0 ? requested : others) {
  const node = nodeOf(version);
  if (node === null) {
    console.error(`Node ${version} could not be installed and was not tested.`);
    process.exitCode = process.env.CI ? 1 : (process.exitCode ?? 0);
    continue;
  }
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  console.log(`Node ${stdout.trim()}: ${files.length} test files`);
  const options = [
    '--test',
    '--test-concurrency=2',
    '--test-force-exit',
    '--test-timeout=300000',
    '--test-reporter=dot',
  ];
  const { status } = spawnSync(node, [...options, ...files], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
