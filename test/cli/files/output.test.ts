/** Text output for people and JSON output for programs. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCommandLine } from '../../support/product/command-line.ts';
import { jsonLines } from '../../support/servers/processes.ts';
import { bytesOf } from '../../support/tables/fixtures.ts';

test('an error is one line of text, or one object with --json', async (t) => {
  const { lading } = await startCommandLine(t);
  const people = await lading(['rm', 'absent']);
  assert.deepEqual([people.code, people.stdout, people.stderr.split('\n').length], [4, '', 2]);
  assert.match(people.stderr, /^lading: \S.*\n$/);
  const programs = await lading(['rm', 'absent', '--json']);
  const [line] = jsonLines(programs.stdout);
  assert.deepEqual(Object.keys(line ?? {}), ['error']);
  assert.match(programs.stdout, /"code":"not_found"/);
});

test('a failed file does not stop the others of the same command', async (t) => {
  const { folder, lading, json } = await startCommandLine(t);
  for (const name of ['1', '2', '3']) await writeFile(join(folder, name), name);
  const { code, stdout } = await lading(['upload', '1', 'absent', '2', '3', '--json']);
  assert.equal(code, 9);
  assert.deepEqual(
    jsonLines(stdout).map(({ event, file }) => `${event} ${file}`),
    ['done 1', 'error absent', 'done 2', 'done 3'],
  );
  assert.deepEqual(await json(['rm', '1', '2', '3']), { removed: ['1', '2', '3'] });
});

test('the error of a missing file names the file once', async (t) => {
  const { lading } = await startCommandLine(t);
  const { stderr } = await lading(['upload', 'absent']);
  assert.equal(stderr, 'lading: absent: No such file or directory\n');
});

test('progress is plain lines without a terminal, JSON lines with --json, and hidden with --quiet', async (t) => {
  const { folder, lading } = await startCommandLine(t);
  await writeFile(join(folder, 'f'), bytesOf(200_000));
  const every = ['--chunk-size', '16K', '--progress-every', '0'];
  const plain = await lading(['upload', 'f', ...every]);
  assert.match(plain.stderr, /^f: +\d+ % {2}\S+ \S?i?B of 195 KiB {2}.*(left|waiting)$/m);
  assert.ok(!plain.stderr.includes('\r'), 'nothing is redrawn');
  assert.match(plain.stdout, /^f: sent 195 KiB in 0:\d\d, .*\/s, CRC-32 [0-9a-f]{8}\n$/);
  const lines = jsonLines((await lading(['download', 'f', '-o', 'g', '--json', ...every])).stdout);
  const progress = lines.filter(({ event }) => event === 'progress');
  assert.ok(progress.length > 2);
  const keys = ['event', 'file', 'done_bytes', 'moving_bytes', 'total_bytes', 'bytes_per_second', 'seconds_left'];
  for (const line of progress) assert.deepEqual(Object.keys(line), keys);
  assert.equal(lines.at(-1)?.event, 'done');
  const quiet = await lading(['download', 'f', '-o', 'h', '--quiet', ...every]);
  assert.equal(quiet.stderr, '');
});
