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
/** Small chunks one after the other and a word about each: time to interfere. */
const SLOWLY = ['--json', '--parallel', '1', '--chunk-size', '16K', '--progress-every', '0'];
/** A line that says that at least 100 kB of a transfer are done. */
const UNDER_WAY = /"done_bytes":[1-9]\d{5,}/;

/** A transfer that is under way and will never end by itself: the connection goes silent after half of the file. */
const HALF: Rule = { stallAfterSent: 512 * KIB, stallAfterReceived: 512 * KIB };

async function place(t: TestContext) {
  const folder = await temporaryFolder(t);
  const bytes = bytesOf(1024 * KIB);
  await writeFile(join(folder, 'f'), bytes);
  const server = await startServer(t, { LADING_DURABILITY: 'seal' });
  const proxy = await startProxy(t, server.port);
  const options = { cwd: folder, env: { LADING_SERVER: proxy.origin, LADING_TOKEN: server.client.token } };
  return { folder, bytes, server, proxy, options };
}

test('upload and download killed with -9 go on when they are run again', async (t) => {
  const { folder, bytes, proxy, options } = await place(t);
  for (const args of [
    ['upload', 'f', ...SLOWLY],
    ['download', 'f', '-o', 'g', ...SLOWLY],
  ]) {
    proxy.rule = () => HALF;
    const first = startCli(t, args, options);
    await until(first, UNDER_WAY);
    // A download notes now and then what it has.
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

test('Ctrl-C stops with 130 and a word about going on; the next run does', async (t) => {
  const { folder, bytes, server, proxy, options } = await place(t);
  proxy.rule = () => HALF;
  const first = startCli(t, ['upload', 'f', ...SLOWLY.filter((word) => word !== '--json')], options);
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
  const second = startCli(t, ['download', 'f', '-o', 'g', ...SLOWLY], options);
  await until(second, UNDER_WAY);
  second.process.kill('SIGTERM');
  const ended = await second.finished;
  assert.equal(ended.code, 143);
  const error = { code: 'stopped', detail: 'stopped; run the same command again to resume' };
  assert.deepEqual(jsonLines(ended.stdout).at(-1), { error });
  assert.ok((await readdir(folder)).includes('g.lading-part.json'), 'what is there was noted on the way out');
  proxy.rule = () => ({});
  const finished = await runCli(t, ['download', 'f', '-o', 'g', '--json'], options);
  assert.ok(Number(jsonLines(finished.stdout).at(-1)?.resumed_bytes) > 0);
  assert.deepEqual(await readFile(join(folder, 'g')), Buffer.from(bytes));
});

test('a server that is killed half way and started again costs nothing but time', async (t) => {
  const folder = await temporaryFolder(t);
  const bytes = bytesOf(1024 * KIB);
  await writeFile(join(folder, 'f'), bytes);
  let server = await startServerProcess(t, join(folder, 'data'));
  const proxy = await startProxy(t, server.port);
  const options = { cwd: folder, env: { ...server.env, LADING_SERVER: proxy.origin } };
  for (const args of [
    ['upload', 'f', ...SLOWLY],
    ['download', 'f', '-o', 'g', ...SLOWLY],
  ]) {
    proxy.rule = () => HALF;
    const transfer = startCli(t, args, options);
    await until(transfer, UNDER_WAY);
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

test('a bad link is told to people in plain lines, and passed', async (t) => {
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

test('a watched upload is followed through a broken connection to its end', async (t) => {
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
