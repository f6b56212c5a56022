/** Uploads of standard input, directories and links; downloads to standard output, links and files with modes. */
import assert from 'node:assert/strict';
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import { jsonLines, runCli, startCli, temporaryFolder, until } from '../../support/servers/processes.ts';
import { startProxy } from '../../support/servers/proxy.ts';
import { bytesOf, deviceOf, sourceOf } from '../../support/tables/fixtures.ts';

const KIB = 1024;

async function setUp(t: TestContext) {
  const server = await startServer(t);
  const proxy = await startProxy(t, server.port);
  const cwd = await temporaryFolder(t);
  const env = { LADING_SERVER: proxy.origin, LADING_TOKEN: server.client.token };
  const run = (args: string[], input = '') => runCli(t, args, { cwd, env, input });
  const device = deviceOf(t, server);
  const stored = async (name: string) => {
    const pieces: Uint8Array[] = [];
    for await (const piece of device.read(name)) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  const names = async () => (await device.listPage()).files.map(({ filename }) => filename);
  return { server, proxy, cwd, env, run, device, stored, names };
}

test('standard input is uploaded as a file, even over broken connections', async (t) => {
  const { proxy, run, stored, device } = await setUp(t);
  const text = 'abcdefghij'.repeat(70 * KIB);
  proxy.rule = (n) => (n % 2 === 1 && n < 8 ? { cutAfterSent: 40 * KIB } : n === 8 ? { cutAfterReceived: 0 } : {});
  const args = ['upload', '-', '--name', 'in/put', '--chunk-size', '64K', '--sha256', '--json'];
  const { code, stdout, stderr } = await run(args, text);
  assert.equal(code, 0, stderr + stdout.slice(-500));
  const lines = jsonLines(stdout);
  assert.ok(lines.some(({ event }) => event === 'retry'));
  assert.match(String(lines.at(-1)?.sha256), /^[0-9a-f]{64}$/);
  assert.ok((await stored('in/put')).toString() === text);
  assert.equal((await run(['upload', '-', '--name', 'empty'])).code, 0);
  assert.equal((await device.status('empty')).total_bytes, 0);
  assert.equal((await run(['upload', '-', '--name', 'small', '--overwrite'], 'x')).code, 0);
  assert.equal((await run(['upload', '-', '--name', 'small'], 'y')).code, 5, 'the name is in use');
  assert.equal((await run(['upload', '-', '--name', 'small', '--overwrite'], 'y')).code, 0);
  assert.equal((await stored('small')).toString(), 'y');
  const long = ['upload', '-', '--name', 'small', '--overwrite', '--chunk-size', '4'];
  assert.equal((await run(long, '0123456789')).code, 5, 'a replacement requires the size');
  assert.equal((await run([...long, '--size', '10'], '0123456789')).code, 0);
  assert.equal((await stored('small')).toString(), '0123456789');
  assert.equal((await run([...long, '--size', '11'], '0123456789')).code, 5);
  assert.equal((await stored('small')).toString(), '0123456789');
  for (const wrong of [['-'], ['-', 'f', '--name', 'a'], ['f', '--size', '5']]) {
    assert.equal((await run(['upload', ...wrong], 'x')).code, 2, wrong.join(' '));
  }
});

test('an interrupted upload of standard input leaves nothing on the server', async (t) => {
  const { cwd, env, device } = await setUp(t);
  const running = startCli(t, ['upload', '-', '--name', 'f', '--chunk-size', '4', '--progress-every', '0'], {
    cwd,
    env,
    inputStays: true,
  });
  running.process.stdin?.write('0123456789');
  await until(running, /f: +\d/);
  assert.equal((await device.status('f')).status, 'partial', 'an incomplete stream is not a complete file');
  running.process.kill('SIGINT');
  assert.equal((await running.finished).code, 130);
  assert.equal((await device.status('f')).status, 'pending');
});

test('--recursive uploads a directory, lists its names first and skips links', async (t) => {
  const { cwd, run, names, stored } = await setUp(t);
  await mkdir(join(cwd, 'tapes/b'), { recursive: true });
  await writeFile(join(cwd, 'tapes/one.wav'), 'one');
  await writeFile(join(cwd, 'tapes/b/two.wav'), 'two');
  await writeFile(join(cwd, 'outside'), 'outside');
  await symlink(join(cwd, 'outside'), join(cwd, 'tapes/link'));
  await symlink(join(cwd, 'tapes'), join(cwd, 'tapes/loop'));
  const refused = await run(['upload', 'tapes']);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /tapes is a directory.*--recursive/);
  const dry = await run(['upload', '--recursive', 'tapes', '--prefix', 'a/', '--dry-run', '--json']);
  assert.deepEqual(jsonLines(dry.stdout), [
    {
      files: [
        { file: 'a/tapes/b/two.wav', path: 'tapes/b/two.wav', total_bytes: 3 },
        { file: 'a/tapes/one.wav', path: 'tapes/one.wav', total_bytes: 3 },
      ],
    },
  ]);
  assert.deepEqual(await names(), []);
  const sent = await run(['upload', '--recursive', 'tapes']);
  assert.equal(sent.code, 0, sent.stderr);
  assert.match(sent.stderr, /tapes\/one\.wav +-> +tapes\/one\.wav\n2 files, 6 B/);
  assert.match(sent.stderr, /tapes\/link was skipped: it is a symbolic link/);
  assert.deepEqual(await names(), ['tapes/b/two.wav', 'tapes/one.wav']);
  const followed = await run(['upload', '--recursive', '--follow-symlinks', 'tapes/.', '--prefix', 'f/']);
  assert.match(followed.stderr, /tapes\/loop was skipped: it leads back/);
  assert.deepEqual((await names()).slice(0, 3), ['f/b/two.wav', 'f/link', 'f/one.wav']);
  assert.equal((await stored('f/link')).toString(), 'outside');
  await mkdir(join(cwd, 'other/tapes'), { recursive: true });
  await writeFile(join(cwd, 'other/tapes/one.wav'), 'other');
  const twice = await run(['upload', '-r', 'tapes', 'other/tapes']);
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /tapes\/one\.wav and other\/tapes\/one\.wav would both be named tapes\/one\.wav/);
  assert.equal((await run(['upload', '-r', 'other/tapes', '--name', 'x'])).code, 2);
});

test('a file in a directory that cannot be sent is reported, and the exit code is 9', async (t) => {
  const { cwd, run, names } = await setUp(t);
  await mkdir(join(cwd, 'tapes'));
  await writeFile(join(cwd, 'tapes/one.wav'), 'one');
  await symlink('nowhere', join(cwd, 'tapes/dangling'));
  assert.equal((await run(['upload', '-r', 'tapes'])).code, 0, 'links are skipped');
  const followed = await run(['upload', '-r', 'tapes', '--follow-symlinks']);
  assert.equal(followed.code, 9);
  assert.match(followed.stderr, /tapes\/dangling was skipped: its target does not exist/);
  await writeFile(Buffer.concat([Buffer.from(join(cwd, 'tapes/two')), Buffer.of(0xff)]), 'two');
  await writeFile(join(cwd, 'tapes/z.wav'), 'z');
  for (const more of [['--dry-run'], []]) {
    const sent = await run(['upload', '-r', 'tapes', ...more]);
    assert.equal(sent.code, 9);
    assert.match(sent.stderr, /tapes\/two\ufffd was skipped: its name is not valid UTF-8/);
  }
  assert.deepEqual(await names(), ['tapes/one.wav', 'tapes/z.wav'], 'the others are sent');
});

test('the target "-" writes a download to standard output', async (t) => {
  const { run, device } = await setUp(t);
  await device.upload(sourceOf(new TextEncoder().encode('content')), { name: 'f' });
  assert.equal((await run(['download', 'f', '-'])).stdout, 'content');
  assert.equal((await run(['download', 'f', '-', '-o', 'g'])).code, 2);
});

test('a download keeps the mode of an existing file and replaces the target of a link', async (t) => {
  const { cwd, run, device } = await setUp(t);
  const bytes = bytesOf(100_000);
  await device.upload(sourceOf(bytes), { name: 'f' });
  await writeFile(join(cwd, 'private'), 'old');
  await chmod(join(cwd, 'private'), 0o600);
  await mkdir(join(cwd, 'elsewhere'));
  await writeFile(join(cwd, 'elsewhere/script'), 'old');
  await chmod(join(cwd, 'elsewhere/script'), 0o755);
  await symlink('elsewhere/script', join(cwd, 'link'));
  await symlink('elsewhere/new', join(cwd, 'dangling'));
  await symlink('circle', join(cwd, 'circle'));
  for (const target of ['private', 'link', 'dangling', 'fresh']) {
    const { code, stderr } = await run(['download', 'f', '-o', target]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(await readFile(join(cwd, target)), Buffer.from(bytes), target);
  }
  const mode = async (path: string) => (await stat(join(cwd, path))).mode & 0o777;
  assert.equal(await mode('private'), 0o600);
  assert.equal(await mode('elsewhere/script'), 0o755);
  assert.equal(await mode('fresh'), 0o666 & ~process.umask());
  assert.ok((await lstat(join(cwd, 'link'))).isSymbolicLink() && (await lstat(join(cwd, 'dangling'))).isSymbolicLink());
  assert.deepEqual((await readdir(join(cwd, 'elsewhere'))).sort(), ['new', 'script']);
  assert.equal((await run(['download', 'f', '-o', 'circle'])).code, 1);
});
