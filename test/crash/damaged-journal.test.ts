/** Flipped bits in the journal of an upload: the next start reports them and loses only the damaged records. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { encodeChunkHeader } from '../../src/protocol/chunk.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import { atEnd, startServer, type TestServer } from '../support/product/server.ts';

const HEADER = 40;
const RECORD = 40;
const CHUNK = 1_000;
const FILE = Buffer.from(Array.from({ length: 5 * CHUNK }, (_, n) => (n * 31) % 251));

/** A data directory that is deleted after the servers on it have stopped. */
async function dataFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-test-'));
  atEnd(t, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function send({ origin, admin }: TestServer, n: number): Promise<FileStatus> {
  const data = FILE.subarray(n * CHUNK, (n + 1) * CHUNK);
  const checksum = data.reduce((sum, byte) => sum + byte, 0) & 255;
  const header = encodeChunkHeader({ start: n * CHUNK, end: (n + 1) * CHUNK - 1, checksum });
  const reply = await fetch(`${origin}/api/files/upload?filename=f&total_size=${FILE.length}`, {
    method: 'POST',
    headers: { ...admin.headers, 'content-type': 'application/octet-stream' },
    body: Buffer.concat([header, data]),
  });
  assert.equal(reply.status, 200);
  return (await reply.json()) as FileStatus;
}

async function ask<T>({ origin, admin }: TestServer, method: string, path: string): Promise<T> {
  const reply = await fetch(`${origin}${path}`, { method, headers: admin.headers });
  assert.equal(reply.status, 200);
  return (await reply.json()) as T;
}

/** Changes the only journal of the data directory. */
async function damage(dataDir: string, change: (journal: Buffer) => void): Promise<void> {
  const names = await readdir(join(dataDir, 'v1', 'files'), { recursive: true });
  const [journal, ...others] = names.filter((name) => name.endsWith('manifest'));
  assert.ok(journal && others.length === 0);
  const path = join(dataDir, 'v1', 'files', journal);
  const bytes = await readFile(path);
  change(bytes);
  await writeFile(path, bytes);
}

async function logged(t: TestContext, dataDir: string): Promise<{ server: TestServer; lines: () => string[] }> {
  const lines: string[] = [];
  const log = pino({ level: 'error' }, { write: (line: string) => lines.push(line) });
  return { server: await startServer(t, {}, { log }, dataDir), lines: () => lines };
}

test('an open upload keeps every chunk except the one whose record cannot be repaired', async (t) => {
  const dataDir = await dataFolder(t);
  const first = await startServer(t, {}, {}, dataDir);
  for (const n of [0, 1, 2, 3]) await send(first, n);
  await first.close();
  await damage(dataDir, (journal) => {
    journal.fill(0x5a, HEADER + RECORD + 5, HEADER + RECORD + 25);
    const flipped = HEADER + 2 * RECORD + 11;
    journal[flipped] = (journal[flipped] ?? 0) ^ 0x10;
  });

  const { server, lines } = await logged(t, dataDir);
  const status = await ask<FileStatus>(server, 'GET', '/api/files/status/f');
  assert.deepEqual(status.missing, [
    [CHUNK, 2 * CHUNK - 1],
    [4 * CHUNK, 5 * CHUNK - 1],
  ]);
  const line = lines().find((text) => text.includes('journal'));
  const entry = JSON.parse(line ?? '{}') as Record<string, unknown>;
  assert.deepEqual([entry.lost, entry.repaired, entry.file], [1, 1, 'f']);
  const metrics = await fetch(`${server.origin}/metrics`, { headers: server.admin.headers });
  assert.match(await metrics.text(), /^lading_journal_records_lost_total 1$/m);

  await send(server, 1);
  assert.equal((await send(server, 4)).status, 'complete');
  const download = await fetch(`${server.origin}/api/files/download/f`, { headers: server.admin.headers });
  assert.deepEqual(Buffer.from(await download.arrayBuffer()), FILE);
});

test('a chunk whose record was repaired is lost if its bytes are damaged too', async (t) => {
  const dataDir = await dataFolder(t);
  const first = await startServer(t, {}, {}, dataDir);
  for (const n of [0, 1]) await send(first, n);
  await first.close();
  await damage(dataDir, (journal) => {
    journal[HEADER + 17] = (journal[HEADER + 17] ?? 0) ^ 1;
  });
  const names = await readdir(join(dataDir, 'v1', 'files'), { recursive: true });
  const part = join(dataDir, 'v1', 'files', names.find((name) => name.endsWith('part')) ?? '');
  const bytes = await readFile(part);
  bytes[500] = (bytes[500] ?? 0) ^ 1;
  await writeFile(part, bytes);

  const { server } = await logged(t, dataDir);
  const status = await ask<FileStatus>(server, 'GET', '/api/files/status/f');
  assert.deepEqual(status.missing, [
    [0, CHUNK - 1],
    [2 * CHUNK, 5 * CHUNK - 1],
  ]);
});

test('verify uses the checksum of the whole file where the journal is damaged, and reports damaged bytes', async (t) => {
  const dataDir = await dataFolder(t);
  const first = await startServer(t, {}, {}, dataDir);
  for (const n of [0, 1, 2, 3, 4]) await send(first, n);
  await first.close();
  await damage(dataDir, (journal) => {
    journal.fill(0x5a, HEADER + RECORD + 5, HEADER + RECORD + 25);
  });
  const { server } = await logged(t, dataDir);
  const intact = await ask<object>(server, 'POST', '/api/files/verify/f');
  assert.deepEqual(intact, { ok: true, checked_bytes: FILE.length, bad: [] });
  await server.close();

  const names = await readdir(join(dataDir, 'v1', 'files'), { recursive: true });
  const blob = join(dataDir, 'v1', 'files', names.find((name) => name.endsWith('blob')) ?? '');
  const bytes = await readFile(blob);
  bytes[CHUNK + 1] = (bytes[CHUNK + 1] ?? 0) ^ 1;
  await writeFile(blob, bytes);
  const { server: next } = await logged(t, dataDir);
  const damaged = await ask<object>(next, 'POST', '/api/files/verify/f');
  assert.deepEqual(damaged, { ok: false, checked_bytes: 4 * CHUNK, bad: [[CHUNK, 2 * CHUNK - 1]] });
});
