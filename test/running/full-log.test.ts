/** A server whose log cannot be written: it serves, counts the dropped lines, and logs again once it can. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fillUp, NO_SMALL_DISK, smallDisk } from '../support/disk/small-disk.ts';
import { eventually } from '../support/eventually.ts';
import { repoRoot } from '../support/root.ts';
import { temporaryFolder } from '../support/servers/processes.ts';

const MAIN = join(repoRoot(), 'dist/src/main.js');
const MIB = 1024 ** 2;
const BASIC = `Basic ${Buffer.from('admin:secret-of-the-administrator').toString('base64')}`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface Server {
  process: ChildProcess;
  origin: string;
  headers: { authorization: string };
}

/** Starts a server whose standard output and error go to `log`: the path of a file, or a pipe without a reader. */
async function serve(t: TestContext, dataDir: string, log: string | 'closed pipe'): Promise<Server> {
  const port = await freePort();
  const fd = log === 'closed pipe' ? null : openSync(log, 'a');
  const env = {
    PATH: process.env.PATH ?? '',
    LADING_HOST: '127.0.0.1',
    LADING_PORT: String(port),
    LADING_DATA_DIR: dataDir,
    LADING_ADMIN_ID: 'admin',
    LADING_ADMIN_SECRET: 'secret-of-the-administrator',
    LADING_WORKERS: '1',
  };
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', fd ?? 'pipe', fd ?? 'pipe'] });
  t.after(() => stop(child));
  if (fd !== null) closeSync(fd);
  child.stdout?.destroy();
  child.stderr?.destroy();
  const origin = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    assert.equal(child.exitCode, null, 'the server ended');
    return (await fetch(`${origin}/ready`).catch(() => null))?.ok === true;
  }, 'a ready server');
  const signedIn = await fetch(`${origin}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ username: 'admin', password: 'secret-of-the-administrator' }),
  });
  const { access_token: token } = (await signedIn.json()) as { access_token: string };
  return { process: child, origin, headers: { authorization: `Bearer ${token}` } };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function dropped({ origin }: Server): Promise<number> {
  const metrics = await fetch(`${origin}/metrics`, { headers: { authorization: BASIC } });
  return Number(/^lading_log_dropped_lines_total (\d+)$/m.exec(await metrics.text())?.[1]);
}

async function put(server: Server, name: string, bytes: Uint8Array): Promise<number> {
  const { origin, headers } = server;
  const reply = await fetch(`${origin}/api/files/content/${name}`, { method: 'PUT', headers, body: bytes });
  await reply.arrayBuffer();
  return reply.status;
}

async function get({ origin, headers }: Server, name: string): Promise<Buffer> {
  const reply = await fetch(`${origin}/api/files/download/${name}`, { headers });
  assert.equal(reply.status, 200);
  return Buffer.from(await reply.arrayBuffer());
}

/** Sends requests, each of which writes a line to the log. */
async function ask({ origin }: Server, times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    const reply = await fetch(`${origin}/nothing-${i}`);
    await reply.arrayBuffer();
    assert.equal(reply.status, 404);
  }
}

for (const log of ['closed pipe', '/dev/full'] as const) {
  const skip = log === '/dev/full' && !existsSync(log) ? 'no /dev/full on this machine' : false;
  test(`a server serves and stops cleanly while its log and standard output go to ${log}`, { skip }, async (t) => {
    const server = await serve(t, await temporaryFolder(t), log);
    await ask(server, 20);
    assert.ok((await dropped(server)) >= 20);
    assert.equal(await put(server, 'a', Buffer.from('whole')), 201);
    assert.equal((await get(server, 'a')).toString(), 'whole');
    const ended = once(server.process, 'exit');
    server.process.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  });
}

test('lines are dropped and counted while the disk of the log is full, and logged once there is space', async (t) => {
  const disk = await smallDisk(t, MIB);
  if (disk === null) return t.skip(NO_SMALL_DISK);
  const log = join(disk.folder, 'lading.log');
  const server = await serve(t, await temporaryFolder(t), log);
  disk.beforeUnmount(() => stop(server.process));
  await fillUp(disk.folder);
  await ask(server, 60);
  const before = await dropped(server);
  assert.ok(before > 0);
  assert.equal(await put(server, 'a', Buffer.from('whole')), 201);
  await rm(join(disk.folder, 'last'));
  await ask(server, 1);
  const text = await readFile(log, 'utf8');
  assert.match(text, /^\{"level":"warn","time":"[^"]+","dropped":\d+,"msg":"log lines were dropped/m);
  assert.match(text, /"path":"\/nothing-0"/);
  assert.ok((await dropped(server)) >= before);
});

test('on a full disk for log and data, reads work, uploads are refused with 507, and no bytes are lost', async (t) => {
  const disk = await smallDisk(t, 24 * MIB);
  if (disk === null) return t.skip(NO_SMALL_DISK);
  const server = await serve(t, join(disk.folder, 'data'), join(disk.folder, 'lading.log'));
  disk.beforeUnmount(() => stop(server.process));
  const whole = Buffer.alloc(MIB, 'whole');
  assert.equal(await put(server, 'a', whole), 201);
  await fillUp(disk.folder);
  // Lines of the log and records of the audit log do not fit either.
  await ask(server, 50);
  for (let i = 0; i < 3; i += 1) assert.equal(await put(server, `b${i}`, Buffer.alloc(MIB)), 507);
  assert.ok((await get(server, 'a')).equals(whole));
  const signedIn = await fetch(`${server.origin}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ username: 'admin', password: 'secret-of-the-administrator' }),
  });
  assert.equal(signedIn.status, 200, 'sign-in works on a full disk');
  assert.ok((await dropped(server)) > 0);
  await eventually(
    async () => (await fetch(`${server.origin}/ready`)).status === 503,
    '/ready to report the full disk',
  );
  await rm(join(disk.folder, 'last'));
  assert.equal(await put(server, 'b0', whole), 201);
  await eventually(async () => (await fetch(`${server.origin}/ready`)).status === 200, '/ready to report free space');
  assert.ok((await get(server, 'b0')).equals(whole));
  assert.ok((await get(server, 'a')).equals(whole));
});
