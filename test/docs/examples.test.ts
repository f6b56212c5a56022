/** Tours run every example, and the files to deploy are valid. test/http/proxy/behind-nginx.test.ts runs nginx.conf. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { blocks, page } from '../support/pages.ts';
import { repoRoot } from '../support/root.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { findProgram, runProgram } from '../support/servers/programs.ts';

/** Examples that have their own tests. */
const ELSEWHERE = ['webhook-receiver.mjs'];

test('a tour runs every example', () => {
  const run = blocks(page('examples/README.md'))
    .filter(({ info }) => info.startsWith('sh tour'))
    .map(({ body }) => body)
    .join('');
  const examples = readdirSync(join(repoRoot(), 'examples')).filter((name) => !name.endsWith('.md'));
  assert.ok(examples.length > 4);
  for (const name of examples) {
    assert.ok(page('examples/README.md').includes(`[${name}](${name})`), `examples/README.md does not show ${name}`);
    if (!ELSEWHERE.includes(name)) assert.ok(run.includes(`examples/${name} `), `no tour runs ${name}`);
  }
});

test('systemd accepts the unit', async (t) => {
  if (findProgram('systemd-analyze') === null) return t.skip('systemd is not installed');
  const folder = await temporaryFolder(t);
  const unit = readFileSync(join(repoRoot(), 'deploy/lading.service'), 'utf8');
  assert.match(unit, /^ExecStart=\/usr\/bin\/node /m);
  const path = join(folder, 'lading.service');
  // Use the Node of this machine. The check does not require the user and the settings file to exist.
  writeFileSync(path, unit.replace('/usr/bin/node', process.execPath));
  const { stderr } = await runProgram('systemd-analyze', ['verify', '--man=no', path], folder);
  const faults = stderr.split('\n').filter((line) => line.includes('lading.service'));
  assert.deepEqual(faults, []);
});
