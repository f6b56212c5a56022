/** Downloads with common programs: they resume, and use several connections. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startServer } from '../support/product/server.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { runProgram, without } from '../support/servers/programs.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { ask } from '../support/wire/resumable.ts';

const SIZE = 9_000_000;

/** A complete file, and a proxy that resets the first connections after a number of bytes. */
async function offered(t: Parameters<typeof startServer>[0], cuts: number, after: number) {
  const server = await startServer(t);
  const bytes = randomBytes(SIZE);
  const stored = await ask(server, 'PUT', '/api/files/content/file.bin', { body: bytes });
  assert.equal(stored.status, 201);
  const proxy = await startProxy(t, server.port, (connection) =>
    connection <= cuts ? { cutAfterReceived: after } : {},
  );
  const folder = await temporaryFolder(t);
  const url = `${proxy.origin}/api/files/download/file.bin`;
  const header = `Authorization: ${server.client.headers.authorization}`;
  const got = join(folder, 'file.bin');
  const compare = async (): Promise<void> => assert.ok((await readFile(got)).equals(bytes), 'the same bytes');
  return { server, proxy, folder, url, header, got, compare };
}

test('curl -C - resumes a download after a reset', { skip: without('curl') }, async (t) => {
  const { proxy, url, header, got, compare } = await offered(t, 2, 3_000_000);
  let runs = 0;
  for (let code = 1; code !== 0; runs += 1) {
    assert.ok(runs < 5, 'it ends');
    ({ code } = await runProgram('curl', ['-sS', '-C', '-', '-H', header, '-o', got, url]));
  }
  assert.equal(runs, 3);
  assert.ok(proxy.received < SIZE * 1.2, 'few bytes were sent twice');
  await compare();
});

test('wget -c resumes a download by itself', { skip: without('wget') }, async (t) => {
  const { proxy, url, header, got, compare } = await offered(t, 3, 2_000_000);
  const { code, stderr } = await runProgram('wget', [
    '-c',
    '-t',
    '9',
    '--waitretry=0',
    `--header=${header}`,
    '-O',
    got,
    url,
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /206 Partial Content/);
  assert.ok(proxy.received < SIZE * 1.2, 'few bytes were sent twice');
  await compare();
});

test('aria2c downloads a file over 16 connections', { skip: without('aria2c') }, async (t) => {
  const { proxy, folder, url, header, compare } = await offered(t, 2, 300_000);
  const args = [
    '-x16',
    '-s16',
    '-k1M',
    '--min-split-size=1M',
    '--retry-wait=1',
    '-d',
    folder,
    `--header=${header}`,
    url,
  ];
  const { code, stdout } = await runProgram('aria2c', [...args, '--file-allocation=none', '--no-conf']);
  assert.equal(code, 0, stdout);
  assert.ok(proxy.connections >= 8, `${proxy.connections} connections`);
  await compare();
});
