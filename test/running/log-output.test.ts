/** A log that cannot be written drops lines, reports their number, and never throws. */
import assert from 'node:assert/strict';
import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogOutput } from '../../src/http/observe/log-output.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/servers/processes.ts';

/** A file descriptor that accepts a limited number of bytes. */
class Sink {
  text = '';
  /** The number of bytes that still fit. */
  room = Number.POSITIVE_INFINITY;
  /** The error code of a write without space. */
  code = 'ENOSPC';

  readonly writeSync = (_fd: number, bytes: Uint8Array): number => {
    const taken = Math.min(this.room, bytes.length);
    if (taken === 0) throw Object.assign(new Error(this.code), { code: this.code });
    this.room -= taken;
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    return taken;
  };

  lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
}

for (const code of ['ENOSPC', 'EIO', 'EPIPE', 'EDQUOT', 'EBADF', 'EFBIG']) {
  test(`${code}: lines are dropped and counted, and the next line reports them`, () => {
    const sink = new Sink();
    const output = new LogOutput({ file: null, writeSync: sink.writeSync });
    output.write('one\n');
    sink.room = 0;
    sink.code = code;
    for (let i = 0; i < 5; i += 1) output.write(`lost ${i}\n`);
    assert.equal(output.dropped, 5);
    sink.room = Number.POSITIVE_INFINITY;
    output.write('two\n');
    output.write('three\n');
    const [one, notice, ...rest] = sink.lines();
    assert.equal(one, 'one');
    assert.equal(JSON.parse(notice ?? '').dropped, 5);
    assert.deepEqual(rest, ['two', 'three']);
    assert.equal(output.dropped, 5);
  });
}

test('a truncated line is separated from the next, and the notice about it is repeated until it fits', () => {
  const sink = new Sink();
  const output = new LogOutput({ file: null, writeSync: sink.writeSync });
  sink.room = 4;
  output.write('0123456789\n');
  assert.equal(output.dropped, 1);
  // Only a part of the notice fits.
  sink.room = 10;
  output.write('lost too\n');
  assert.equal(output.dropped, 2);
  sink.room = Number.POSITIVE_INFINITY;
  output.write('here\n');
  const lines = sink.lines();
  assert.equal(lines[0], '0123');
  assert.equal(lines.at(-1), 'here');
  assert.equal(JSON.parse(lines.at(-2) ?? '').dropped, 2);
});

test('lines wait for a slow reader in order, up to a limit', async () => {
  const sink = new Sink();
  const output = new LogOutput({ file: null, writeSync: sink.writeSync });
  sink.code = 'EAGAIN';
  sink.room = 2;
  output.write('one\n');
  output.write('two\n');
  assert.equal(sink.text, 'on');
  sink.room = Number.POSITIVE_INFINITY;
  await eventually(() => sink.text === 'one\ntwo\n', 'the waiting lines');
  assert.equal(output.dropped, 0);

  sink.room = 0;
  const line = `${'x'.repeat(1023)}\n`;
  for (let i = 0; i < 3000; i += 1) output.write(line);
  assert.ok(output.dropped >= 1900 && output.dropped < 3000, `${output.dropped}`);
  sink.room = Number.POSITIVE_INFINITY;
  output.end();
  output.write('last\n');
  assert.equal(sink.lines().at(-1), 'last');
  assert.equal(JSON.parse(sink.lines().at(-2) ?? '').dropped, output.dropped);
});

test('a log file is appended to, and reopened under its name', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'lading.log');
  const output = new LogOutput({ file });
  output.write('one\n');
  await rename(file, `${file}.1`);
  output.write('two\n');
  output.reopen();
  output.write('three\n');
  assert.equal(await readFile(`${file}.1`, 'utf8'), 'one\ntwo\n');
  assert.equal(await readFile(file, 'utf8'), 'three\n');
  assert.throws(() => new LogOutput({ file: join(folder, 'none', 'lading.log') }), { code: 'ENOENT' });
});
