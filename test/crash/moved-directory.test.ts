/** The data directory is moved, replaced or filled while a server runs on it, with real processes and directories. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readdir, rename, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { type ServerProcess, startServerProcess, temporaryFolder } from '../support/servers/processes.ts';

const BYTES = Buffer.alloc(5_000, 'lading ');

async function signedIn({ env }: ServerProcess): Promise<Record<string, string>> {
  const { LADING_SERVER = '', LADING_CLIENT_ID = '', LADING_CLIENT_SECRET = '' } = env;
  const body = new URLSearchParams({ username: LADING_CLIENT_ID, password: LADING_CLIENT_SECRET });
  const reply = await fetch(`${LADING_SERVER}/auth/token`, { method: 'POST', body });
  const { access_token: token } = (await reply.json()) as { access_token: string };
  return { authorization: `Bearer ${token}`, 'tus-resumable': '1.0.0' };
}

/** Creates a tus upload of `BYTES` with the first `sent` bytes; returns its URL. */
async function beginUpload(origin: string, headers: Record<string, string>, sent: number): Promise<string> {
  const created = await fetch(`${origin}/files`, {
    method: 'POST',
    headers: {
      ...headers,
      'upload-length': String(BYTES.length),
      'upload-metadata': `filename ${Buffer.from('a.bin').toString('base64')}`,
      'content-type': 'application/offset+octet-stream',
    },
    body: BYTES.subarray(0, sent),
  });
  assert.equal(created.status, 201, await created.text());
  return new URL(created.headers.get('location') ?? '', origin).href;
}

function patch(address: string, headers: Record<string, string>, offset: number): Promise<Response> {
  return fetch(address, {
    method: 'PATCH',
    headers: { ...headers, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' },
    body: BYTES.subarray(offset),
  });
}

function put(origin: string, headers: Record<string, string>, name: string): Promise<Response> {
  return fetch(`${origin}/api/files/content/${name}`, { method: 'PUT', headers, body: BYTES });
}

/** Resolves with the exit code of the process. */
function ended({ process }: ServerProcess): Promise<number | null> {
  if (process.exitCode !== null) return Promise.resolve(process.exitCode);
  return new Promise((resolve) => process.once('exit', (code) => resolve(code)));
}

async function assertWhole(t: TestContext, dataDir: string, names: string[]): Promise<void> {
  const server = await startServerProcess(t, dataDir);
  const headers = await signedIn(server);
  for (const name of names) {
    const reply = await fetch(`${server.env.LADING_SERVER}/api/files/download/${name}`, { headers });
    assert.equal(reply.status, 200, name);
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), BYTES, name);
  }
}

test('a server whose directory is moved writes nothing to the old path, refuses requests, and exits', async (t) => {
  const folder = await temporaryFolder(t);
  const data = join(folder, 'data');
  const server = await startServerProcess(t, data);
  const exit = ended(server);
  const origin = server.env.LADING_SERVER ?? '';
  const headers = await signedIn(server);
  assert.equal((await put(origin, headers, 'kept.bin')).status, 201);
  const address = await beginUpload(origin, headers, 1_000);

  await rename(data, join(folder, 'moved'));
  const stored = await put(origin, headers, 'refused.bin');
  assert.ok(stored.status === 500 || stored.status === 503, `a new file was answered ${stored.status}`);
  // The server may still have the moved file open; then the bytes count. The upload must not be reported as unknown.
  const appended = await patch(address, headers, 1_000).catch(() => null);
  if (appended !== null)
    assert.ok([204, 500, 503].includes(appended.status), `an append was answered ${appended.status}`);
  const ready = await fetch(`${origin}/ready`).catch(() => null);
  if (ready !== null) assert.equal(ready.status, 503);
  assert.equal(await exit, 1);

  assert.deepEqual(await readdir(folder), ['moved'], 'nothing is created at the old path');
  await assertWhole(t, join(folder, 'moved'), appended?.status === 204 ? ['kept.bin', 'a.bin'] : ['kept.bin']);
});

test('a server whose subdirectory is moved or replaced does not create it again, refuses requests, and exits', async (t) => {
  for (const [name, replaced] of [
    ['files', false],
    ['files', true],
    ['clients', false],
  ] as const) {
    const data = join(await temporaryFolder(t), 'data');
    const server = await startServerProcess(t, data);
    const exit = ended(server);
    const origin = server.env.LADING_SERVER ?? '';
    const headers = await signedIn(server);
    assert.equal((await put(origin, headers, 'kept.bin')).status, 201);
    const root = join(data, 'v1');
    await rename(join(root, name), join(root, 'away'));
    if (replaced) await cp(join(root, 'away'), join(root, name), { recursive: true });
    if (name === 'files') {
      const stored = await put(origin, headers, 'refused.bin').catch(() => null);
      assert.ok(stored === null || stored.status >= 500, `${name}: a new file was answered ${stored?.status}`);
    }
    assert.equal(await exit, 1, name);
    if (!replaced) assert.ok(!(await readdir(root)).includes(name), `${name} was created again`);
    await rm(join(root, name), { recursive: true, force: true });
    await rename(join(root, 'away'), join(root, name));
    await assertWhole(t, data, ['kept.bin']);
  }
});

test('a server that finds another server at its path exits, and the other keeps running', async (t) => {
  const folder = await temporaryFolder(t);
  const data = join(folder, 'data');
  const first = await startServerProcess(t, data);
  const exit = ended(first);
  const headers = await signedIn(first);
  assert.equal((await put(first.env.LADING_SERVER ?? '', headers, 'old.bin')).status, 201);
  await rename(data, join(folder, 'moved'));

  const second = await startServerProcess(t, data);
  const others = await signedIn(second);
  assert.equal(await exit, 1);
  const origin = second.env.LADING_SERVER ?? '';
  assert.equal((await put(origin, others, 'new.bin')).status, 201);
  const list = (await (await fetch(`${origin}/api/files`, { headers: others })).json()) as { files: object[] };
  assert.equal(list.files.length, 1);
  assert.equal(second.process.exitCode, null);
  await second.kill();
  await assertWhole(t, data, ['new.bin']);
  await assertWhole(t, join(folder, 'moved'), ['old.bin']);
});

test('a server whose directory was replaced by a copy exits, because its writes would be split between the two', async (t) => {
  const folder = await temporaryFolder(t);
  const data = join(folder, 'data');
  const server = await startServerProcess(t, data);
  const exit = ended(server);
  const headers = await signedIn(server);
  assert.equal((await put(server.env.LADING_SERVER ?? '', headers, 'old.bin')).status, 201);
  await cp(data, join(folder, 'copy'), { recursive: true, preserveTimestamps: true });
  await rename(data, join(folder, 'moved'));
  await rename(join(folder, 'copy'), data);
  assert.equal(await exit, 1);
  await assertWhole(t, data, ['old.bin']);
  await assertWhole(t, join(folder, 'moved'), ['old.bin']);
});

test('/ready reports a full disk, and recovers once there is space', async (t) => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return t.skip('only root may mount a small file system');
  const disk = await mkdtemp(join(tmpdir(), 'lading-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk]);
  let server: ServerProcess | null = null;
  t.after(async () => {
    await server?.kill();
    execFileSync('umount', [disk]);
    await rm(disk, { recursive: true });
  });
  server = await startServerProcess(t, join(disk, 'data'));
  const origin = server.env.LADING_SERVER;
  const ready = async (): Promise<number> => (await fetch(`${origin}/ready`)).status;
  assert.equal(await ready(), 200);
  const ballast = join(disk, 'ballast');
  const { bavail, bsize } = await statfs(disk);
  await writeFile(ballast, Buffer.alloc(bavail * bsize - 1024 * 1024));
  await eventually(async () => (await ready()) === 503, '/ready reports that the disk is full');
  const health = await fetch(`${origin}/health`);
  assert.equal(health.status, 200, 'the process is alive all the same');
  await truncate(ballast, 0);
  await rm(ballast);
  await eventually(async () => (await ready()) === 200, '/ready reports that there is space');
});
