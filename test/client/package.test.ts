/** The package of the client: what npm packs can be installed into an empty directory and works there. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startServer } from '../support/product/server.ts';
import { repoRoot } from '../support/root.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { bytesOf } from '../support/tables/fixtures.ts';

const run = promisify(execFile);

const TYPED = `import { blobSource, LadingClient, LadingError, type FileStatus } from 'lading-client';
import { connect, uploadFile } from 'lading-client/node';
const client: LadingClient = connect({ server: 'http://localhost', ca: undefined });
const status: FileStatus = await client.status('a');
export const total: number | null = status.total_bytes;
export const done: string = (await uploadFile(client, 'a')).status.status;
// @ts-expect-error there is no such member
status.nonsense;
export { blobSource, LadingError };
`;

test('the packed client installs with undici as its only dependency, and transfers files', async (t) => {
  const root = repoRoot();
  const server = await startServer(t);
  const cwd = await temporaryFolder(t);
  const packed = join(cwd, 'packed');
  await mkdir(packed);
  await run('npm', ['pack', '--silent', '--pack-destination', packed], { cwd: join(root, 'clients/js') });
  const [tarball = ''] = await readdir(packed);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.equal(tarball, `lading-client-${version}.tgz`);
  const folder = join(cwd, 'empty');
  await mkdir(folder);
  // Install undici from node_modules, so that the test needs no registry.
  await cp(join(root, 'node_modules/undici'), join(cwd, 'undici'), { recursive: true });
  await writeFile(
    join(folder, '.npmrc'),
    'engine-strict=true\noffline=true\naudit=false\nfund=false\nupdate-notifier=false\n',
  );
  await run('npm', ['init', '-y'], { cwd: folder });
  await run('npm', ['install', '--ignore-scripts', join(cwd, 'undici'), join(packed, tarball)], { cwd: folder });
  const installed = (await readdir(join(folder, 'node_modules'))).filter((name) => !name.startsWith('.'));
  assert.deepEqual(installed.sort(), ['lading-client', 'undici']);
  for (const file of ['README.md', 'LICENSE', 'NOTICES.md']) {
    assert.notEqual(await readFile(join(folder, 'node_modules/lading-client', file), 'utf8'), '', file);
  }

  // The example of the README, word for word.
  const readme = await readFile(join(root, 'clients/js/README.md'), 'utf8');
  const [, example = ''] = /## In Node[\s\S]*?```js\n([\s\S]*?)```/.exec(readme) ?? [];
  await writeFile(join(folder, 'send.mjs'), example.replace('http://localhost:8005', server.origin));
  const env = {
    PATH: process.env.PATH ?? '',
    LADING_CLIENT_ID: server.client.id,
    LADING_CLIENT_SECRET: server.client.secret,
  };
  await writeFile(join(folder, 'recording.wav'), bytesOf(100_000));
  const { stdout } = await run(process.execPath, ['send.mjs'], { cwd: folder, env });
  assert.match(stdout, /^complete [0-9a-f]{8} 0 100000\n10\ntapes\/monday\.wav 100000\n$/);
  assert.deepEqual(await readFile(join(folder, 'copy.wav')), await readFile(join(folder, 'recording.wav')));
  const portable = `import { LadingClient } from 'lading-client';
const client = new LadingClient({ server: '${server.origin}', token: '${server.client.token}' });
await client.uploadStream(new Blob(['hello']).stream(), { name: 'b' });
for await (const bytes of client.read('b')) process.stdout.write(bytes);`;
  await writeFile(join(folder, 'portable.mjs'), portable);
  assert.equal((await run(process.execPath, ['portable.mjs'], { cwd: folder, env })).stdout, 'hello');

  await writeFile(join(folder, 'typed.mts'), TYPED);
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023,dom'];
  await run(join(root, 'node_modules/.bin/tsc'), [...options, '--types', '', 'typed.mts'], { cwd: folder }).catch(
    (error) => {
      assert.fail(error.stdout);
    },
  );
});
