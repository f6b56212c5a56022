/** The commands on files: their output, results and exit codes. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Value } from 'typebox/value';
import { FileStatus } from '../../src/protocol/schemas/files.ts';
import { clockOf } from '../support/product/clock.ts';
import { envOf, startCommandLine } from '../support/product/command-line.ts';
import { startServer } from '../support/product/server.ts';
import { jsonLines, runCli } from '../support/servers/processes.ts';
import { bytesOf, deviceOf } from '../support/tables/fixtures.ts';

test('upload, status, ls, download, verify and rm print text or JSON and set the exit code', async (t) => {
  const { server, folder, lading, json } = await startCommandLine(t);
  const bytes = bytesOf(300_000);
  await writeFile(join(folder, 'a.wav'), bytes);

  const sent = await json(['upload', 'a.wav', '--name', 'tapes/a.wav', '--sha256', '--chunk-size', '64K']);
  const { event, file, path, already, resumed_bytes, sent_bytes, sha256, status } = sent;
  assert.deepEqual(
    [event, file, path, already, resumed_bytes, sent_bytes],
    ['done', 'tapes/a.wav', 'a.wav', false, 0, 300_000],
  );
  assert.match(String(sha256), /^[0-9a-f]{64}$/);
  assert.ok(Value.Check(FileStatus, status));
  assert.equal(status.content_type, 'audio/wav');
  assert.equal((await json(['upload', 'a.wav', '--name', 'tapes/a.wav'])).already, true);

  const shown = await json(['status', 'tapes/a.wav']);
  assert.deepEqual(shown, status);
  const { stdout } = await lading(['status', 'tapes/a.wav']);
  assert.match(stdout, /^status +complete$/m);
  assert.match(stdout, /^size +300000 bytes \(293 KiB\)$/m);

  assert.deepEqual(await json(['ls', '--prefix', 'tapes/']), { files: [status] });
  assert.deepEqual(await json(['ls', '--prefix', 'other']), { files: [] });
  assert.match((await lading(['ls'])).stdout, /^293 KiB {2}complete {2}\S+Z {2}tapes\/a\.wav\n$/);

  const got = await json(['download', 'tapes/a.wav', '-o', 'b.wav']);
  assert.deepEqual([got.event, got.path, got.total_bytes, got.received_bytes], ['done', 'b.wav', 300_000, 300_000]);
  assert.equal(got.crc32, shown.crc32);
  assert.deepEqual(await readFile(join(folder, 'b.wav')), Buffer.from(bytes));
  assert.equal((await json(['download', 'tapes/a.wav'])).path, 'a.wav');

  assert.deepEqual(await json(['verify', 'tapes/a.wav']), { ok: true, checked_bytes: 300_000, bad: [] });
  const admin = envOf(server, server.admin);
  assert.deepEqual(await json(['ls', '--owner', server.client.id], admin), { files: [status] });
  assert.deepEqual(await json(['rm', 'tapes/a.wav']), { removed: ['tapes/a.wav'] });
  const absent = await lading(['status', 'tapes/a.wav', '--json']);
  assert.equal(absent.code, 4);
  assert.equal(jsonLines(absent.stdout)[0]?.status, 'pending');
});

test('rm reports what it deleted, and --upload-only keeps the file', async (t) => {
  const { server, lading, json } = await startCommandLine(t);
  const device = deviceOf(t, server);
  const data = bytesOf(10);
  const replace = () => device.uploadChunk('f', { start: 0, data, totalSize: 20, overwrite: true });
  await device.uploadChunk('f', { start: 0, data, totalSize: 10 });
  await replace();
  assert.deepEqual(await json(['rm', 'f', '--upload-only']), { removed: ['f'], uploads: ['f'] });
  assert.equal((await lading(['rm', 'f', '--upload-only'])).code, 4);
  assert.equal((await device.status('f')).status, 'complete');
  await replace();
  assert.equal((await lading(['rm', 'f', '--upload-only'])).stdout, 'f: unfinished upload cancelled\n');
  await replace();
  assert.equal((await lading(['rm', 'f'])).stdout, 'f: file deleted, unfinished upload cancelled\n');
  assert.equal((await device.status('f')).status, 'pending');
});

test('ranges and streams are written to standard output or a file', async (t) => {
  const { folder, lading } = await startCommandLine(t);
  await writeFile(join(folder, 'alphabet'), 'abcdefghijklmnopqrstuvwxyz');
  assert.equal((await lading(['upload', 'alphabet', '-q'])).code, 0);
  const out = async (...args: string[]) => (await lading(['download', 'alphabet', ...args])).stdout;
  assert.equal(await out('--range', '5-15', '-o', '-'), 'fghijklmnop');
  assert.equal(await out('--range', '20-', '-o', '-'), 'uvwxyz');
  assert.equal(await out('--range', '-3', '-o', '-'), 'xyz');
  assert.equal(await out('-o', '-'), 'abcdefghijklmnopqrstuvwxyz');
  assert.equal(await out('--follow', '-o', '-'), 'abcdefghijklmnopqrstuvwxyz');
  const mixed = await lading(['download', 'alphabet', '-o', '-', '--json']);
  assert.equal(mixed.stdout, 'abcdefghijklmnopqrstuvwxyz');
  assert.equal(jsonLines(mixed.stderr)[0]?.received_bytes, 26);
  await out('--range', '0-4', '-o', 'part');
  assert.equal(await readFile(join(folder, 'part'), 'utf8'), 'abcde');
  for (const target of ['-', 'beyond']) {
    assert.equal((await lading(['download', 'alphabet', '--range', '26-', '-o', target])).code, 8, target);
  }
});

test('each kind of failure has its own exit code', async (t) => {
  const { server, folder, lading } = await startCommandLine(t);
  await writeFile(join(folder, 'f'), 'first');
  await writeFile(join(folder, 'g'), 'other');
  const code = async (args: string[], env?: Record<string, string>) => (await lading(args, env)).code;
  assert.equal(await code(['upload', 'f']), 0);
  assert.equal(await code(['upload', 'absent']), 9);
  assert.equal(await code(['upload', 'absent/file']), 9);
  assert.equal(await code(['upload', 'f', 'g', '--name', 'one']), 2);
  assert.equal(await code(['upload', 'f', '--chunk-size', '1T']), 2);
  assert.equal(await code(['ls', '--nonsense']), 2);
  assert.equal(await code(['ls'], { LADING_SERVER: server.origin, LADING_TOKEN: 'wrong' }), 3);
  assert.equal(await code(['ls'], { LADING_SERVER: server.origin }), 3);
  assert.equal(await code(['clients', 'list']), 3);
  assert.equal(await code(['download', 'absent', '-o', '-']), 4);
  assert.equal(await code(['rm', 'absent', '--force']), 0);
  assert.equal(await code(['upload', 'g', '--name', 'f']), 5);
  assert.equal(await code(['upload', 'g', '--name', 'f', '--overwrite']), 0);
  const nobody = { LADING_SERVER: 'http://127.0.0.1:9', LADING_TOKEN: 'x' };
  assert.equal(await code(['upload', 'f', '--retry-for', '1ms'], nobody), 7);
  assert.equal(await code(['--help']), 0);
});

test('--if-match replaces and deletes only the named version', async (t) => {
  const { server, folder, lading, json } = await startCommandLine(t);
  for (const name of ['a', 'b', 'c']) await writeFile(join(folder, name), `content ${name}`);
  const code = async (...args: string[]) => (await lading(args)).code;
  const etag = async () => String((await json(['status', 'f'])).etag);
  assert.equal(await code('upload', 'a', '--name', 'f', '--if-match', '*'), 10, 'there is no version yet');
  assert.equal(await code('upload', 'a', '--name', 'f'), 0);
  const first = await etag();
  assert.match((await lading(['status', 'f'])).stdout, new RegExp(`^etag +${first}$`, 'm'));
  assert.equal(await code('upload', 'b', '--name', 'f', '--if-match', first), 0);
  const second = await etag();
  const refused = await lading(['upload', 'c', '--name', 'f', '--if-match', first, '--json']);
  assert.equal(refused.code, 10);
  assert.match(refused.stderr + refused.stdout, /precondition_failed/);
  assert.equal(await etag(), second, 'nothing was changed');
  assert.equal(await code('upload', 'b', '--name', 'f', '--if-match', first), 0, 'the same content is already stored');
  assert.equal(await code('rm', 'f', '--if-match', first), 10);
  assert.equal(await code('rm', 'f', '--if-match', first, '--force'), 10);
  assert.equal(await code('rm', 'f', 'g', '--if-match', second), 2);
  assert.equal(await code('upload', 'a', 'b', '--if-match', second), 2);
  assert.equal(await code('rm', 'f', '--if-match', 'two words'), 2);
  // An interrupted replacement resumes while the version that it replaces exists.
  const data = new Uint8Array(Buffer.from('content '));
  await deviceOf(t, server).uploadChunk('f', { start: 0, data, totalSize: 9, overwrite: true });
  assert.equal(await code('rm', 'f', '--upload-only', '--if-match', first), 10);
  assert.equal(await code('upload', 'c', '--name', 'f', '--if-match', second), 0);
  const third = (await etag()).replaceAll('"', '');
  assert.equal(await code('rm', 'f', '--if-match', third), 0, 'a shell removed the quotation marks');
});

test('an upload of undeclared size is listed without a percentage, and --status parked finds parked uploads', async (t) => {
  let elapsed = 0;
  const server = await startServer(t, { LADING_STALE_SECONDS: '60' }, { clock: clockOf(() => Date.now() + elapsed) });
  const lading = async (...args: string[]) => {
    const { code, stdout, stderr } = await runCli(t, args, { env: envOf(server, server.client) });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const headers = { ...server.client.headers, 'upload-complete': '?0' };
  const started = await fetch(`${server.origin}/api/files/content/open`, {
    method: 'PUT',
    headers,
    body: 'x'.repeat(2048),
  });
  assert.equal(started.status, 201);
  await deviceOf(t, server).uploadChunk('known', { start: 0, data: new Uint8Array(512), totalSize: 2048 });
  assert.match(await lading('status', 'open'), /^size +not declared yet$/m);
  assert.match(await lading('status', 'known'), /^size +2048 bytes/m);
  const listed = await lading('ls');
  assert.match(listed, /^ *2.0 KiB +partial +\S+ +open$/m);
  assert.match(listed, /^ *2.0 KiB +partial 25 % +\S+ +known$/m);
  assert.equal((await lading('ls', '--status', 'parked')).trim(), '');
  elapsed = 61_000;
  await fetch(`${server.origin}/api/sweep`, { method: 'POST', headers: server.admin.headers });
  await fetch(`${server.origin}/api/files/content/whole`, { method: 'PUT', headers: server.client.headers, body: 'x' });
  const parked = await lading('ls', '--status', 'parked');
  assert.match(parked, /parked +\S+ +open$/m);
  assert.match(parked, /parked 25 % +\S+ +known$/m);
  assert.equal(parked.trim().split('\n').length, 2);
  assert.doesNotMatch(await lading('ls', '--status', 'complete'), /open|known/);
});

test('verify exits with 6 and reports the damaged bytes of a stored file', async (t) => {
  const { server, folder, lading } = await startCommandLine(t);
  await writeFile(join(folder, 'f'), bytesOf(5000));
  assert.equal((await lading(['upload', 'f'])).code, 0);
  const stored: string[] = [];
  for (const entry of await readdir(server.dataDir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && (await stat(path)).size === 5000) stored.push(path);
  }
  assert.equal(stored.length, 1);
  const [path = ''] = stored;
  await writeFile(path, (await readFile(path)).fill(0, 100, 110));
  const { code, stdout } = await lading(['verify', 'f', '--json']);
  assert.equal(code, 6);
  assert.deepEqual(jsonLines(stdout), [{ ok: false, checked_bytes: 5000, bad: [[0, 4999]] }]);
});

test('administrators create, list and delete clients and start a sweep', async (t) => {
  const { server, json, lading } = await startCommandLine(t);
  const admin = envOf(server, server.admin);
  const created = await json(['clients', 'create', '--name', 'camera 7'], admin);
  assert.equal(created.role, 'client');
  const list = await json(['clients', 'list'], admin);
  assert.match(JSON.stringify(list), /"name":"camera 7"/);
  const device = {
    LADING_SERVER: server.origin,
    LADING_CLIENT_ID: String(created.client_id),
    LADING_CLIENT_SECRET: String(created.client_secret),
  };
  assert.deepEqual(await json(['ls'], device), { files: [] });
  assert.deepEqual(await json(['clients', 'delete', String(created.client_id)], admin), { deleted: created.client_id });
  assert.equal((await lading(['ls'], device)).code, 3);
  assert.deepEqual(await json(['sweep'], admin), { removed: 0, sealed: 0 });
  assert.equal((await lading(['clients', 'create', '--role', 'king'], admin)).code, 2);
});

test('a parked upload is shown as parked, with its deletion date', async (t) => {
  let elapsed = 0;
  const server = await startServer(t, { LADING_STALE_SECONDS: '60' }, { clock: clockOf(() => Date.now() + elapsed) });
  const lading = async (...args: string[]) => (await runCli(t, args, { env: envOf(server, server.client) })).stdout;
  await deviceOf(t, server).uploadChunk('log', { start: 0, data: bytesOf(5), totalSize: 10 });
  assert.match(await lading('status', 'log'), /^status +partial$/m);
  elapsed += 61_000;
  await fetch(`${server.origin}/api/sweep`, { method: 'POST', headers: server.admin.headers });
  assert.match(await lading('ls'), /parked 50 % .* log$/m);
  const shown = await lading('status', 'log');
  assert.match(shown, /^status +parked, resumes with the next byte$/m);
  assert.match(shown, /^kept until +\d{4}-/m);
});

test('complete finishes an upload of undeclared size, and status --watch follows it', async (t) => {
  const { server, json, lading } = await startCommandLine(t);
  const client = deviceOf(t, server);
  await client.uploadChunk('log', { start: 5, data: bytesOf(5) });
  assert.equal((await lading(['complete', 'log'])).code, 5);
  const watching = lading(['status', 'log', '--watch', '--json']);
  await client.uploadChunk('log', { start: 0, data: bytesOf(5) });
  assert.equal((await json(['complete', 'log'])).status, 'complete');
  const { code, stdout } = await watching;
  assert.equal(code, 0);
  assert.equal(jsonLines(stdout).at(-1)?.status, 'complete');
});

test('a download without a target never escapes the current directory', async (t) => {
  const { folder, lading } = await startCommandLine(t);
  await writeFile(join(folder, 'f'), 'x');
  assert.equal((await lading(['upload', 'f', '--name', 'a/..b/c\\..\\d'])).code, 0);
  const { stdout } = await lading(['download', 'a/..b/c\\..\\d', '--json']);
  assert.equal(jsonLines(stdout)[0]?.path, 'c_.._d');
});
