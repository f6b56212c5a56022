/** Commands whose output is closed by its reader. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import { runCli, startCli, temporaryFolder, until } from '../../support/servers/processes.ts';
import { type Rule, startProxy } from '../../support/servers/proxy.ts';
import { bytesOf, deviceOf, sourceOf } from '../../support/tables/fixtures.ts';

const KIB = 1024;
const SLOW = ['--parallel', '1', '--chunk-size', '16K', '--progress-every', '0'];
/** Half of the file passes. The rest passes when the test changes the rule. */
const HALF: Rule = { stallAfterSent: 512 * KIB, stallAfterReceived: 512 * KIB };

async function setUp(t: TestContext) {
  const folder = await temporaryFolder(t);
  const bytes = bytesOf(1024 * KIB);
  await writeFile(join(folder, 'f'), bytes);
  const server = await startServer(t, { LADING_DURABILITY: 'seal' });
  const proxy = await startProxy(t, server.port);
  const env = { LADING_SERVER: proxy.origin, LADING_TOKEN: server.client.token };
  return { folder, bytes, proxy, device: deviceOf(t, server), options: { cwd: folder, env } };
}

for (const [what, flags] of [
  ['events', ['--json']],
  ['progress', []],
] as const) {
  test(`an upload and a download continue when the reader closes their ${what}`, async (t) => {
    const { folder, bytes, proxy, device, options } = await setUp(t);
    for (const args of [
      ['upload', 'f', '--name', what],
      ['download', what, '-o', 'g'],
    ]) {
      proxy.rule = () => HALF;
      const running = startCli(t, [...args, ...SLOW, ...flags], options);
      await until(running, /done_bytes|%/);
      running.process.stdout?.destroy();
      running.process.stderr?.destroy();
      proxy.rule = () => ({});
      proxy.sever();
      assert.deepEqual([(await running.finished).code, args[0]], [0, args[0]]);
    }
    assert.equal((await device.status(what)).status, 'complete');
    assert.deepEqual(await readFile(join(folder, 'g')), Buffer.from(bytes));
  });
}

test('a download to standard output exits with 141 when its reader closes early', async (t) => {
  const { bytes, device, options } = await setUp(t);
  await device.upload(sourceOf(bytes), { name: 'f' });
  const running = startCli(t, ['download', 'f', '-o', '-'], options);
  running.process.stdout?.once('data', () => running.process.stdout?.destroy());
  const { code, stderr } = await running.finished;
  assert.deepEqual([code, stderr], [141, '']);
});

test('status --watch ends when the reader closes its output', async (t) => {
  const { device, options } = await setUp(t);
  const put = (start: number) => device.uploadChunk('w', { start, data: bytesOf(10), totalSize: 40 });
  await put(0);
  const running = startCli(t, ['status', 'w', '--watch', '--json'], options);
  await until(running, /"bytes_received":10/);
  running.process.stdout?.destroy();
  await put(10);
  assert.equal((await running.finished).code, 0);
});

test('two files that would get the same name are refused before anything is sent', async (t) => {
  const { folder, device, options } = await setUp(t);
  await writeFile(join(folder, 'a.txt'), 'a');
  for (const files of [
    ['a.txt', 'a.txt'],
    ['f', 'a.txt', './a.txt'],
    ['a.txt', join(folder, 'a.txt'), 'f'],
    ['a.txt', '../nowhere/a.txt'],
  ]) {
    for (const more of [[], ['--overwrite'], ['--json']]) {
      const { code, stdout, stderr } = await runCli(t, ['upload', ...files, ...more], options);
      assert.equal(code, 2, stdout + stderr);
      assert.match(stdout + stderr, /a\.txt/);
    }
  }
  assert.deepEqual((await device.listPage()).files, []);
});
