import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startServer } from '../../support/product/server.ts';
import { jsonLines, runCli, startCli, temporaryFolder, until } from '../../support/servers/processes.ts';
import { startProxy } from '../../support/servers/proxy.ts';
import { bytesOf, deviceOf, sourceOf } from '../../support/tables/fixtures.ts';

const KIB = 1024;

async function setUp(t: TestContext) {
  const folder = await temporaryFolder(t);
  const server = await startServer(t, { LADING_DURABILITY: 'seal' });
  const proxy = await startProxy(t, server.port);
  const direct = deviceOf(t, server);
  const options = { cwd: folder, env: { LADING_SERVER: proxy.origin, LADING_TOKEN: server.client.token } };
  return { folder, server, proxy, direct, options };
}

const SLOW = ['--json', '--parallel', '1', '--chunk-size', '16K', '--progress-every', '0'];
const RANGE = ['download', 'f', '--range', '1000-900000', '-o', 'part', ...SLOW];

/** Runs the download of the range until some bytes are stored, and kills it. */
async function begin(t: TestContext, { folder, proxy, options }: Awaited<ReturnType<typeof setUp>>): Promise<void> {
  proxy.rule = () => ({ stallAfterReceived: 512 * KIB });
  const first = startCli(t, RANGE, options);
  await until(first, /"done_bytes":[1-9]\d{5,}/);
  while (!(await readdir(folder)).includes('part.lading-part.json')) await setTimeout(20);
  first.process.kill('SIGKILL');
  await first.finished;
  proxy.rule = () => ({});
}

test('a killed download of a range of an unfinished file resumes, even after the file was completed', async (t) => {
  const setup = await setUp(t);
  const { folder, direct, options } = setup;
  const bytes = bytesOf(1024 * KIB);
  await direct.uploadChunk('f', { start: 0, data: bytes.slice(0, 900 * KIB), totalSize: bytes.length });
  await begin(t, setup);
  await direct.upload(sourceOf(bytes), { name: 'f' });
  const { code, stdout } = await runCli(t, RANGE, options);
  assert.equal(code, 0, stdout.slice(-300));
  const done = jsonLines(stdout).at(-1);
  assert.ok(Number(done?.resumed_bytes) > 0, stdout.slice(-300));
  assert.equal(Number(done?.resumed_bytes) + Number(done?.received_bytes), 899_001);
  assert.deepEqual(await readFile(join(folder, 'part')), Buffer.from(bytes.subarray(1000, 900_001)));
  assert.deepEqual(await readdir(folder), ['part']);
});

test('a download of a range starts over when the file was replaced or the range differs', async (t) => {
  const setup = await setUp(t);
  const { folder, direct, options } = setup;
  await direct.upload(sourceOf(bytesOf(1024 * KIB)), { name: 'f' });
  await begin(t, setup);
  const second = bytesOf(1024 * KIB, 2);
  await direct.upload(sourceOf(second), { name: 'f', overwrite: true });
  const replaced = await runCli(t, RANGE, options);
  assert.equal(jsonLines(replaced.stdout).at(-1)?.resumed_bytes, 0);
  assert.deepEqual(await readFile(join(folder, 'part')), Buffer.from(second.subarray(1000, 900_001)));
  await begin(t, setup);
  const other = await runCli(t, ['download', 'f', '--range', '2000-900000', '-o', 'part', '--json'], options);
  assert.equal(jsonLines(other.stdout).at(-1)?.resumed_bytes, 0);
  assert.deepEqual(await readFile(join(folder, 'part')), Buffer.from(second.subarray(2000, 900_001)));
});

test('--follow continues at the next byte after every broken connection', async (t) => {
  const { proxy, direct, options } = await setUp(t);
  const text = 'abcdefghij'.repeat(30 * KIB);
  const data = new TextEncoder().encode(text);
  const third = 100 * KIB;
  const put = (start: number) =>
    direct.uploadChunk('f', { start, data: data.slice(start, start + third), totalSize: data.length });
  await put(0);
  proxy.rule = (n) => (n <= 4 ? { cutAfterReceived: 40 * KIB } : {});
  const following = startCli(t, ['download', 'f', '--follow', '-o', '-', '--json', '--progress-every', '0'], options);
  while (following.stdout().length < third) await setTimeout(20);
  proxy.sever();
  // Send chunks out of order: the output must stay in order.
  await put(2 * third);
  await put(third);
  const { code, stdout, stderr } = await following.finished;
  assert.equal(code, 0, stderr.slice(-500));
  assert.equal(stdout.length, text.length);
  assert.ok(stdout === text, 'every byte once, in its place');
  const events = jsonLines(stderr);
  assert.ok(events.some(({ event }) => event === 'retry'));
  assert.ok(events.some(({ event, total_bytes }) => event === 'progress' && total_bytes === text.length));
  assert.equal(events.at(-1)?.received_bytes, text.length);
});

test('--follow of a file of undeclared size ends when it is sealed, even after a broken connection', async (t) => {
  const { proxy, direct, options } = await setUp(t);
  await direct.uploadChunk('f', { start: 0, data: new TextEncoder().encode('first ') });
  const following = startCli(t, ['download', 'f', '--follow', '-o', '-', '--json'], options);
  await until(following, /first /);
  proxy.sever();
  await until(following, /"event":"retry"/);
  await direct.uploadChunk('f', { start: 6, data: new TextEncoder().encode('second') });
  await until(following, /first second/);
  await direct.complete('f');
  const { code, stdout } = await following.finished;
  assert.deepEqual([code, stdout], [0, 'first second']);
});

test('--follow fails when the file is deleted or replaced', async (t) => {
  const { proxy, direct, options } = await setUp(t);
  for (const replacement of [false, true]) {
    await direct.uploadChunk('f', { start: 0, data: bytesOf(10, 3).fill(65), totalSize: 20 });
    const following = startCli(t, ['download', 'f', '--follow', '-o', '-'], options);
    await until(following, /A{10}/);
    if (replacement) {
      // Refuse requests for now: between deletion and replacement, one would report a deleted file.
      proxy.rule = () => ({ refuse: true });
      proxy.sever();
    }
    await direct.remove('f');
    if (replacement) await direct.upload(sourceOf(bytesOf(20)), { name: 'f' });
    proxy.rule = () => ({});
    if (!replacement) proxy.sever();
    const { code, stdout } = await following.finished;
    assert.deepEqual([code, stdout], [replacement ? 10 : 4, 'A'.repeat(10)]);
    if (replacement) await direct.remove('f');
  }
});

test('progress of a stream is plain lines on standard error and never part of its bytes', async (t) => {
  const { direct, options } = await setUp(t);
  const text = 'x'.repeat(700 * KIB);
  await direct.upload(sourceOf(new TextEncoder().encode(text)), { name: 'f' });
  for (const args of [[], ['--range', '0-'], ['--follow']]) {
    const { code, stdout, stderr } = await runCli(
      t,
      ['download', 'f', '-o', '-', '--progress-every', '0', ...args],
      options,
    );
    assert.equal(code, 0, stderr);
    assert.ok(stdout === text);
    assert.match(stderr, /^f: +\d+ % {2}\S+ \S?i?B of 700 KiB {2}.*(left|waiting)$/m);
  }
});

test('options that do not apply to streams are refused, and a failed download leaves its target unchanged', async (t) => {
  const { folder, options } = await setUp(t);
  await writeFile(join(folder, 'g'), 'old');
  for (const args of [
    ['--parallel', '2', '-o', '-'],
    ['--parallel', '2', '--follow'],
    ['--chunk-size', '1M', '-o', '/dev/null'],
    ['--follow', '--range', '0-1'],
  ]) {
    const { code, stderr } = await runCli(t, ['download', 'f', ...args], options);
    assert.equal(code, 2, args.join(' '));
    assert.ok(stderr.includes(args[0] ?? ''), stderr);
  }
  assert.equal((await runCli(t, ['download', 'f', '--follow', '-o', 'g'], options)).code, 4);
  assert.equal((await runCli(t, ['download', 'f', '--range', '0-1', '-o', 'g'], options)).code, 4);
  assert.equal(await readFile(join(folder, 'g'), 'utf8'), 'old');
  assert.deepEqual(await readdir(folder), ['g']);
});

test('administrators complete and verify the file of a client', async (t) => {
  const { server, direct } = await setUp(t);
  await direct.uploadChunk('log', { start: 0, data: bytesOf(5) });
  const env = { LADING_SERVER: server.origin, LADING_TOKEN: server.admin.token };
  assert.equal((await runCli(t, ['complete', 'log'], { env })).code, 4);
  for (const command of ['complete', 'verify']) {
    const { code, stderr } = await runCli(t, [command, 'log', '--owner', server.client.id], { env });
    assert.equal(code, 0, stderr);
  }
});
