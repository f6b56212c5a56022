/** Complete files whose bytes are missing after an incomplete restore: the server does not report them as complete. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLog } from '../../src/http/observe/log.ts';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import type { FileStatus } from '../../src/protocol/schemas/files.ts';
import { eventually } from '../support/eventually.ts';
import { type Account, atEnd, startServer, type TestServer } from '../support/product/server.ts';

const BYTES = Buffer.alloc(10_000, 'lading ');
const NAMES = ['missing', 'short', 'intact'];

/** The paths of the blobs below a data directory. */
async function blobs(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'v1', 'files'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.name === 'blob').map((entry) => join(entry.parentPath, entry.name));
}

function ask({ origin }: TestServer, { headers }: Account, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${origin}${path}`, { ...init, headers: { ...headers, ...(init.headers as Record<string, string>) } });
}

async function statusOf(server: TestServer, who: Account, name: string): Promise<FileStatus> {
  return (await (await ask(server, who, `/api/files/status/${name}`)).json()) as FileStatus;
}

async function damagedFiles(server: TestServer): Promise<number> {
  const text = await (await ask(server, server.admin, '/metrics')).text();
  return Number(/^lading_damaged_files (\d+)$/m.exec(text)?.[1]);
}

/** A server with three complete files: the first has lost its bytes, the second some of them. */
async function badlyRestored(t: TestContext) {
  const dataDir = await mkdtemp(join(tmpdir(), 'lading-test-'));
  atEnd(t, () => rm(dataDir, { recursive: true, force: true }));
  const first = await startServer(t, {}, {}, dataDir);
  const who = first.admin;
  const paths: string[] = [];
  for (const name of NAMES) {
    const put = await ask(first, who, `/api/files/content/${name}`, { method: 'PUT', body: BYTES });
    assert.equal(put.status, 201);
    const added = (await blobs(dataDir)).find((path) => !paths.includes(path));
    assert.ok(added);
    paths.push(added);
  }
  await first.close();
  const [missing = '', short = ''] = paths;
  await rename(missing, `${missing}.kept`);
  await truncate(short, 4_000);
  const lines: Record<string, unknown>[] = [];
  const log = createLog('warn', { write: (line) => void lines.push(JSON.parse(line)) });
  const server = await startServer(t, {}, { log }, dataDir);
  return { server, who: server.admin, missing, short, lines };
}

test('after the start, files without their bytes are found and no longer reported as complete', async (t) => {
  const { server, who, lines } = await badlyRestored(t);
  await eventually(async () => (await damagedFiles(server)) === 2, 'both files to be found');
  for (const [name, stored] of [
    ['missing', 0],
    ['short', 4_000],
  ] as const) {
    const status = await statusOf(server, who, name);
    assert.deepEqual(
      [status.status, status.damaged, status.readable, status.bytes_received, status.missing, status.etag],
      ['partial', true, false, stored, [[stored, BYTES.length - 1]], null],
      name,
    );
    const reply = await ask(server, who, `/api/files/download/${name}`);
    const problem = (await reply.json()) as { code: string; detail: string };
    assert.deepEqual([reply.status, problem.code], [500, 'file_damaged']);
    assert.match(problem.detail, new RegExp(`${stored} of ${BYTES.length}`));
    const ranged = await ask(server, who, `/api/files/download/${name}`, { headers: { range: 'bytes=0-9' } });
    assert.equal(ranged.status, 500);
    const verified = await ask(server, who, `/api/files/verify/${name}`, { method: 'POST' });
    const { ok, bad } = (await verified.json()) as { ok: boolean; bad: [number, number][] };
    assert.equal(ok, false);
    assert.equal(bad.at(-1)?.[1], BYTES.length - 1);
    assert.ok(
      lines.some((line) => line.file === name && line.bytes_there === stored),
      `the log names ${name}`,
    );
  }
  assert.equal((await statusOf(server, who, 'intact')).status, 'complete');
  const list = (await (await ask(server, who, '/api/files')).json()) as { files: FileStatus[] };
  assert.deepEqual(
    list.files.map(({ filename, status, damaged = false }) => [filename, status, damaged]),
    [
      ['intact', 'complete', false],
      ['missing', 'partial', true],
      ['short', 'partial', true],
    ],
  );
  const complete = (await (await ask(server, who, '/api/files?status=complete')).json()) as { files: FileStatus[] };
  assert.deepEqual(
    complete.files.map(({ filename }) => filename),
    ['intact'],
  );
});

test('restored bytes make the file complete again without a restart', async (t) => {
  const { server, who, missing } = await badlyRestored(t);
  await eventually(async () => (await statusOf(server, who, 'missing')).damaged === true, 'the file to be found');
  await rename(`${missing}.kept`, missing);
  const status = await statusOf(server, who, 'missing');
  assert.deepEqual([status.status, status.damaged], ['complete', undefined]);
  const reply = await ask(server, who, '/api/files/download/missing');
  assert.ok(Buffer.from(await reply.arrayBuffer()).equals(BYTES));
  assert.equal(await damagedFiles(server), 1);
});

test('a damaged file can be uploaded again or deleted', async (t) => {
  const { server, who, short } = await badlyRestored(t);
  await eventually(async () => (await damagedFiles(server)) === 2, 'both files to be found');
  const put = await ask(server, who, '/api/files/content/missing', { method: 'PUT', body: BYTES });
  assert.ok(put.ok, await put.clone().text());
  assert.equal((await statusOf(server, who, 'missing')).status, 'complete');
  const reply = await ask(server, who, '/api/files/download/missing');
  assert.ok(Buffer.from(await reply.arrayBuffer()).equals(BYTES));
  assert.equal((await stat(short)).size, 4_000);
  assert.equal((await ask(server, who, '/api/files/short', { method: 'DELETE' })).status, 200);
  assert.equal((await statusOf(server, who, 'short')).status, 'pending');
  await assert.rejects(readFile(short), { code: 'ENOENT' });
  assert.equal(await damagedFiles(server), 0);
});

test('a chunk for a damaged file is refused with file_damaged, and overwrite=true replaces the file', async (t) => {
  const { server, who } = await badlyRestored(t);
  await eventually(async () => (await damagedFiles(server)) === 2, 'both files to be found');
  const chunk = (name: string, more: string): Promise<Response> =>
    ask(server, who, `/api/files/upload?filename=${name}&total_size=${BYTES.length}${more}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: encodeChunk(0, BYTES),
    });
  for (const name of ['missing', 'short']) {
    const refused = await chunk(name, '');
    assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [500, 'file_damaged']);
    const replaced = await chunk(name, '&overwrite=true');
    assert.equal(replaced.status, 200, await replaced.clone().text());
    assert.equal((await statusOf(server, who, name)).status, 'complete');
    const reply = await ask(server, who, `/api/files/download/${name}`);
    assert.ok(Buffer.from(await reply.arrayBuffer()).equals(BYTES));
  }
  assert.equal(await damagedFiles(server), 0);
});

test('a file that loses bytes while the server runs is found at the next read', async (t) => {
  const server = await startServer(t);
  const who = server.admin;
  const put = await ask(server, who, '/api/files/content/a', { method: 'PUT', body: BYTES });
  assert.equal(put.status, 201);
  const [path = ''] = await blobs(server.dataDir);
  await truncate(path, 10);
  const reply = await ask(server, who, '/api/files/download/a');
  assert.equal(reply.status, 500);
  assert.equal((await statusOf(server, who, 'a')).status, 'partial');
});
