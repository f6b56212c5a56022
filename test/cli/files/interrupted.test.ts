import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startServer } from '../../support/product/server.ts';
import {
  jsonLines,
  runCli,
  startCli,
  startServerProcess,
  temporaryFolder,
  until,
} from '../../support/servers/processes.ts';
import { type Rule, startProxy } from '../../support/servers/proxy.ts';
import { bytesOf, collect, deviceOf, sourceOf } from '../../support/tables/fixtures.ts';

const KIB = 1024;
/** Small chunks, one after the other, with a progress line for each: slow enough to interrupt. */
const SLOW = ['--json', '--parallel', '1', '--chunk-size', '16K', '--progress-every', '0'];
/** Matches the progress line of a transfer with at least 100 kB done. */
const IN_PROGRESS = /"done_bytes":[1-9]\d{5,}/;

/** The connection stalls after half of the file, so that a running transfer never ends by itself. */
const HALF: Rule = { stallAfterSent: 512 * KIB, stallAfterReceived: 512 * KIB };

async function setUp(t: TestContext) {
  const folder = await temporaryFolder(t);
  const bytes = bytesOf(1024 * KIB);
  await writeFile(join(folder, 'f'), bytes);
  const server = await startServer(t, { LADING_DURABILITY: 'seal' });
  const proxy = await startProxy(t, server.port);
  const options = { cwd: folder, env: { LADING_SERVER: proxy.origin, LADING_TOKEN: server.client.token } };
  return { folder, bytes, server, proxy, options };
}

test('an upload and a download that were killed with SIGKILL resume when they are run again', async (t) => {
  const { folder, bytes, proxy, options } = await setUp(t);
  for (const args of [
    ['upload', 'f', ...SLOW],
    ['download', 'f', '-o', 'g', ...SLOW],
  ]) {
    proxy.rule = () => HALF;
    const first = startCli(t, args, options);
    await until(first, IN_PROGRESS);
    // A download saves its state at intervals.
    while (args[0] === 'download' && !(await readdir(folder)).includes('g.lading-part.json')) await setTimeout(20);
    first.process.kill('SIGKILL');
    assert.equal((await first.finished).signal, 'SIGKILL');
    proxy.rule = () => ({});
    const { code, stdout, stderr } = await runCli(t, args, options);
    assert.equal(code, 0, stderr);
    const done = jsonLines(stdout).at(-1);
    assert.equal(done?.event, 'done');
    assert.ok(Number(done?.resumed_bytes) > 0, stdout.slice(-300));
  }
  assert.deepEqual(await readFile(join(folder, 'g')), Buffer.from(bytes));
});

test('Ctrl-C exits with 130 and a message about resuming, and the next run resumes', async (t) => {
  const { folder, bytes, server, proxy, options } = await setUp(t);
  proxy.rule = () => HALF;
  const first = startCli(t, ['upload', 'f', ...SLOW.filter((word) => word !== '--json')], options);
  await until(first, /[1-9]\d\d KiB of/);
  first.process.kill('SIGINT');
  const stopped = await first.finished;
  assert.equal(stopped.code, 130);
  assert.match(stopped.stderr, /^lading: stopped; run the same command again to resume$/m);
  assert.equal((await deviceOf(t, server).status('f')).status, 'partial');
  proxy.rule = () => ({});
  const again = await runCli(t, ['upload', 'f'], options);
  assert.equal(again.code, 0);
  assert.match(again.stdout, /resumed\), SHA-256 verified by the server/);

  proxy.rule = () => HALF;
  const second = startCli(t, ['download', 'f', '-o', 'g', ...SLOW], options);
  await until(second, IN_PROGRESS);
  second.process.kill('SIGTERM');
  const ended = await second.finished;
  assert.equal(ended.code, 143);
  const error = { code: 'stopped', detail: 'stopped; run the same command again to resume' };
  assert.deepEqual(jsonLines(ended.stdout).at(-1), { error });
  assert.ok((await readdir(folder)).includes('g.lading-part.json'), 'the state was saved before the exit');
  proxy.rule = () => ({});
  const finished = await runCli(t, ['download', 'f', '-o', 'g', '--json'], options);
  assert.ok(Number(jsonLines(finished.stdout).at(-1)?.resumed_bytes) > 0);
  assert.deepEqual(await readFile(join(folder, 'g')), Buffer.from(bytes));
});

test('transfers continue after the server was killed and restarted', async (t) => {
  const folder = await temporaryFolder(t);
  const bytes = bytesOf(1024 * KIB);
  await writeFile(join(folder, 'f'), bytes);
  let server = await startServerProcess(t, join(folder, 'data'));
  const proxy = await startProxy(t, server.port);
  const options = { cwd: folder, env: { ...server.env, LADING_SERVER: proxy.origin } };
  for (const args of [
    ['upload', 'f', ...SLOW],
    ['download', 'f', '-o', 'g', ...SLOW],
  ]) {
    proxy.rule = () => HALF;
    const transfer = startCli(t, args, options);
    await until(transfer, IN_PROGRESS);
    await server.kill();
    await until(transfer, /"event":"retry"/);
    proxy.rule = () => ({});
    server = await startServerProcess(t, join(folder, 'data'), server.port);
    const { code, stdout } = await transfer.finished;
    assert.equal(code, 0, stdout.slice(-500));
    assert.equal(jsonLines(stdout).at(-1)?.event, 'done');
  }
  assert.deepEqual(await readFile(join(folder, 'g')), Buffer.from(bytes));
  await server.kill();
});

test('an upload over a bad link reports its retries in plain lines and succeeds', async (t) => {
  const server = await startServer(t, { LADING_DURABILITY: 'seal' });
  const folder = await temporaryFolder(t);
  const bytes = bytesOf(512 * KIB);
  await writeFile(join(folder, 'f'), bytes);
  const proxy = await startProxy(t, server.port, () => ({ cutAfterSent: 200 * KIB }));
  const env = { LADING_SERVER: proxy.origin, LADING_TOKEN: server.client.token };
  const { code, stderr } = await runCli(t, ['upload', 'f', '--parallel', '2', '--chunk-size', '128K'], {
    cwd: folder,
    env,
  });
  assert.equal(code, 0);
  assert.match(
    stderr,
    /^f: (The connection was refused|The connection was reset|The server closed).+ Retrying in \d+(\.\d)? s\.$/m,
  );
  assert.deepEqual(await collect((await deviceOf(t, server).download('f')).body), Buffer.from(bytes));
});

test('status --watch reconnects after a broken connection and ends with the upload', async (t) => {
  const server = await startServer(t);
  const proxy = await startProxy(t, server.port);
  const client = deviceOf(t, server);
  await client.uploadChunk('f', { start: 0, data: bytesOf(10), totalSize: 20 });
  const env = { LADING_SERVER: proxy.origin, LADING_TOKEN: server.client.token };
  const watching = startCli(t, ['status', 'f', '--watch', '--json'], { env });
  await until(watching, /"bytes_received":10/);
  proxy.sever();
  await until(watching, /"event":"retry"/);
  await client.upload(sourceOf(bytesOf(20)), { name: 'f' });
  const { code, stdout } = await watching.finished;
  assert.equal(code, 0);
  assert.equal(jsonLines(stdout).at(-1)?.status, 'complete');
});
