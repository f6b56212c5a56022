import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { availableResources, checkRequirements } from '../../src/machine/requirements.ts';
import { GIB, MIB } from '../../src/protocol/sizes.ts';
import { temporaryFolder } from '../support/servers/processes.ts';

const MAIN = join(import.meta.dirname, '../../src/main.js');

test('a server with too few descriptors says in one line what it needs', async (t) => {
  const child = spawn('sh', ['-c', 'ulimit -n 128 && exec "$0" "$1"', process.execPath, MAIN], {
    env: { PATH: process.env.PATH ?? '', LADING_DATA_DIR: await temporaryFolder(t), LADING_PORT: '0' },
  });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1);
  assert.match(said, /^lading: the system lets this process open 128 files .* 256 .*ulimit -n.*\n$/);
});

test('too little memory is refused, and scarce memory causes a warning', () => {
  const room = (memory: number, descriptors: number | null = 65_536) =>
    checkRequirements({ descriptors, memory }, 256 * MIB);
  assert.match(room(160 * MIB).refusal ?? '', /^there are 160 MiB of memory; .* 192 MiB/);
  assert.deepEqual(room(GIB), { refusal: null, warnings: [] });
  assert.deepEqual(room(GIB, null), { refusal: null, warnings: [] });
  assert.match(room(400 * MIB).warnings[0] ?? '', /LADING_BUFFER_BYTES/);
  assert.match(room(GIB, 1024).warnings[0] ?? '', /only 1024 files/);
  const here = availableResources();
  assert.ok(here.memory > 0 && (here.descriptors === null || here.descriptors > 0));
});
