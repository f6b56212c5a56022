import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LadingClient, LadingError, NetworkError, VerificationError } from '../../../src/client/client.ts';
import { downloadFile } from '../../../src/client/node.ts';
import type { DownloadOptions, DownloadSink, StoredRun } from '../../../src/client/transfer/download.ts';
import { crc32 } from '../../../src/protocol/crc32.ts';
import { startServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { type Rule, startProxy } from '../../support/servers/proxy.ts';
import { bytesOf, clientOf, collect, deviceOf, QUICK, sourceOf } from '../../support/tables/fixtures.ts';

const KIB = 1024;
const refusedWith = (code: string) => (error: unknown) => error instanceof LadingError && error.code === code;
const options = (over: Partial<DownloadOptions> = {}): DownloadOptions => ({ chunkSize: 32 * KIB, ...QUICK, ...over });

async function put(client: LadingClient, bytes: Uint8Array<ArrayBuffer>, name = 'f'): Promise<void> {
  await client.upload(sourceOf(bytes), { name, overwrite: true });
}

/** Downloads at least `until` bytes, then stops. */
async function begin(client: LadingClient, path: string, until: number): Promise<void> {
  const stop = new AbortController();
  const enough = new Error('enough');
  const onProgress: DownloadOptions['onProgress'] = ({ done }) => done >= until && stop.abort(enough);
  const running = downloadFile(client, 'f', path, options({ parallel: 1, signal: stop.signal, onProgress }));
  await assert.rejects(running, enough);
}

test('files of all sizes are downloaded completely and leave no other files', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const folder = await temporaryFolder(t);
  for (const size of [0, 1, 32 * KIB, 300 * KIB + 7]) {
    const bytes = bytesOf(size);
    await put(client, bytes);
    const path = join(folder, 'target');
    const result = await downloadFile(client, 'f', path, options({ parallel: 3 }));
    const { already, received, crc32: crc } = result;
    assert.deepEqual([already, result.size, received, crc], [false, size, size, crc32(bytes)]);
    assert.deepEqual(await readFile(path), Buffer.from(bytes));
    assert.deepEqual(await readdir(folder), ['target']);
    assert.equal((await downloadFile(client, 'f', path)).already, true);
  }
});

test('an interrupted download resumes with the missing bytes', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const folder = await temporaryFolder(t);
  const path = join(folder, 'target');
  const bytes = bytesOf(512 * KIB);
  await put(client, bytes);
  await begin(client, path, 256 * KIB);
  assert.deepEqual((await readdir(folder)).sort(), ['target.lading-part', 'target.lading-part.json']);
  const { resumed, received } = await downloadFile(client, 'f', path, options());
  assert.ok(resumed >= 256 * KIB && received === bytes.length - resumed);
  assert.deepEqual(await readFile(path), Buffer.from(bytes));
  assert.deepEqual(await readdir(folder), ['target']);
});

test('the target keeps its old content until the download is complete', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const path = join(await temporaryFolder(t), 'target');
  await writeFile(path, 'old');
  const bytes = bytesOf(256 * KIB);
  await put(client, bytes);
  await begin(client, path, 64 * KIB);
  assert.equal(await readFile(path, 'utf8'), 'old');
  await downloadFile(client, 'f', path, options());
  assert.deepEqual(await readFile(path), Buffer.from(bytes));
});

test('bytes that were damaged or lost since the last run are downloaded again', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const folder = await temporaryFolder(t);
  const path = join(folder, 'target');
  const bytes = bytesOf(512 * KIB);
  await put(client, bytes);
  const damages: ((part: Buffer) => Buffer | string)[] = [
    (part) => part.fill(7, 100, 200),
    (part) => part.subarray(0, 50 * KIB),
    () => '',
  ];
  for (const damage of damages) {
    await begin(client, path, 256 * KIB);
    await writeFile(`${path}.lading-part`, damage(await readFile(`${path}.lading-part`)));
    await downloadFile(client, 'f', path, options());
    assert.deepEqual(await readFile(path), Buffer.from(bytes));
    await writeFile(path, 'something else');
  }
});

test('an invalid state file makes the download start over', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const path = join(await temporaryFolder(t), 'target');
  const bytes = bytesOf(100 * KIB);
  await put(client, bytes);
  const { etag } = await client.head('f');
  const size = bytes.length;
  const runs = [
    [[0, size, '00000000']],
    [[-5, 10, '00000000']],
    [[10, 5, '00000000']],
    [[0, 9, 'x']],
    [5],
    'none',
    [
      [0, 99, '12345678'],
      [50, 120, '12345678'],
    ],
  ];
  const states = ['', '{', '[]', 'null', JSON.stringify({ etag: '"other"', size, runs: [] })];
  for (const state of [...states, ...runs.map((list) => JSON.stringify({ etag, size, runs: list }))]) {
    await writeFile(`${path}.lading-part`, bytesOf(200 * KIB, 9));
    await writeFile(`${path}.lading-part.json`, state);
    await writeFile(path, 'old');
    await downloadFile(client, 'f', path, options());
    assert.deepEqual(await readFile(path), Buffer.from(bytes), state);
  }
});

test('a file that is replaced between runs or during one is downloaded again, and versions never mix', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const path = join(await temporaryFolder(t), 'target');
  await put(client, bytesOf(512 * KIB));
  await begin(client, path, 256 * KIB);
  const second = bytesOf(512 * KIB, 2);
  await put(client, second);
  const { resumed } = await downloadFile(client, 'f', path, options());
  assert.equal(resumed, 0);
  assert.deepEqual(await readFile(path), Buffer.from(second));

  const third = bytesOf(300 * KIB, 3);
  await put(client, bytesOf(512 * KIB, 4));
  const replaced: Promise<void>[] = [];
  let restarts = 0;
  await downloadFile(client, 'f', path, {
    ...options({ parallel: 1 }),
    onProgress: ({ done }) => {
      if (done >= 128 * KIB && replaced.length === 0) replaced.push(put(client, third));
    },
    onRestart: () => {
      restarts += 1;
    },
  });
  await replaced[0];
  if (restarts === 0) await downloadFile(client, 'f', path, options());
  assert.deepEqual(await readFile(path), Buffer.from(third));
});

test('a download during a replacement receives the old file', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const path = join(await temporaryFolder(t), 'target');
  const bytes = bytesOf(100 * KIB);
  await put(client, bytes);
  await client.uploadChunk('f', { start: 0, data: bytesOf(10, 2), totalSize: 20, overwrite: true });
  const result = await downloadFile(client, 'f', path, options());
  assert.equal(result.crc32, crc32(bytes), 'the CRC-32 is known although the status describes the replacement');
  assert.deepEqual(await readFile(path), Buffer.from(bytes));
});

test('a missing file is not_found, and an unfinished one is not_complete with its missing ranges', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const folder = await temporaryFolder(t);
  await assert.rejects(downloadFile(client, 'f', join(folder, 'f')), refusedWith('not_found'));
  await client.uploadChunk('f', { start: 0, data: bytesOf(10), totalSize: 20 });
  await assert.rejects(downloadFile(client, 'f', join(folder, 'f')), (error: unknown) => {
    assert.ok(error instanceof LadingError);
    assert.deepEqual([error.code, error.members.missing], ['not_complete', [[10, 19]]]);
    return true;
  });
  assert.deepEqual(await readdir(folder), []);
});

test('a wrong checksum is an error and discards the downloaded bytes', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const bytes = bytesOf(100);
  await put(client, bytes);
  const calls: string[] = [];
  const wrong: StoredRun = { start: 0, end: 49, crc32: 1 };
  const sink: DownloadSink = {
    has: async () => false,
    open: async () => [wrong],
    write: async () => {},
    save: async () => {},
    finish: async () => void calls.push('finish'),
    discard: async () => void calls.push('discard'),
    close: async () => void calls.push('close'),
  };
  await assert.rejects(client.downloadTo('f', sink), VerificationError);
  assert.deepEqual(calls, ['discard', 'close']);
});

test('bytes that arrived before a connection broke are kept', async (t) => {
  const server = await startServer(t);
  const path = join(await temporaryFolder(t), 'target');
  const bytes = bytesOf(2048 * KIB);
  await put(deviceOf(t, server), bytes);
  const proxy = await startProxy(t, server.port, () => ({ cutAfterReceived: 200 * KIB }));
  const client = deviceOf(t, server, proxy.origin);
  const { received } = await downloadFile(client, 'f', path, options({ chunkSize: 1024 * KIB, parallel: 2 }));
  assert.equal(received, bytes.length);
  assert.ok(proxy.cuts >= 8);
  assert.ok(proxy.received < bytes.length * 1.5, `${proxy.received} bytes for ${bytes.length}`);
  assert.deepEqual(await readFile(path), Buffer.from(bytes));
});

test('a stalled reply is abandoned and requested again', async (t) => {
  const server = await startServer(t);
  const path = join(await temporaryFolder(t), 'target');
  const bytes = bytesOf(1024 * KIB);
  await put(deviceOf(t, server), bytes);
  const proxy = await startProxy(t, server.port, (n) => (n <= 2 ? { stallAfterReceived: 100 * KIB } : {}));
  const client = clientOf(t, { server: proxy.origin, token: server.client.token, idleMs: 300 });
  await downloadFile(client, 'f', path, options({ parallel: 2, chunkSize: 256 * KIB }));
  assert.deepEqual(await readFile(path), Buffer.from(bytes));
});

test('a download without a server gives up after retryForMs', async (t) => {
  const server = await startServer(t);
  await server.close();
  const path = join(await temporaryFolder(t), 'target');
  await assert.rejects(downloadFile(deviceOf(t, server), 'f', path, options({ retryForMs: 50 })), NetworkError);
});

test('file and stream are correct after any sequence of connection failures', async (t) => {
  const server = await startServer(t);
  const direct = deviceOf(t, server);
  const proxy = await startProxy(t, server.port);
  const device = deviceOf(t, server, proxy.origin);
  const folder = await temporaryFolder(t);
  const rule = fc.oneof(
    fc.record({ cutAfterReceived: fc.nat(150 * KIB) }),
    fc.record({ cutAfterSent: fc.nat(1000) }),
    fc.constant({ refuse: true }),
    fc.constant({}),
  );
  const shape = {
    size: fc.nat(300 * KIB),
    chunkSize: fc.integer({ min: 3000, max: 200 * KIB }),
    parallel: fc.integer({ min: 1, max: 5 }),
  };
  let files = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { maxLength: 25 }),
      fc.record(shape),
      async (plan: Rule[], { size, chunkSize, parallel }) => {
        files += 1;
        const name = `file ${files}`;
        const bytes = bytesOf(size, files);
        await put(direct, bytes, name);
        const breakAgain = () => {
          const from = proxy.connections;
          proxy.sever();
          proxy.rule = (n) => plan[n - from - 1] ?? {};
        };
        breakAgain();
        await downloadFile(device, name, join(folder, name), options({ chunkSize, parallel }));
        assert.deepEqual(await readFile(join(folder, name)), Buffer.from(bytes));
        breakAgain();
        assert.deepEqual(await collect(device.read(name, QUICK)), Buffer.from(bytes));
      },
    ),
    { numRuns: 12 },
  );
});

test('a stream of a range continues after a broken connection', async (t) => {
  const server = await startServer(t);
  const bytes = bytesOf(512 * KIB);
  await put(deviceOf(t, server), bytes);
  const proxy = await startProxy(t, server.port, () => ({ cutAfterReceived: 100 * KIB }));
  const client = deviceOf(t, server, proxy.origin);
  const read = (range: Parameters<LadingClient['read']>[1]) => collect(client.read('f', { ...QUICK, ...range }));
  assert.deepEqual(
    await read({ range: { start: 1000, end: 400 * KIB } }),
    Buffer.from(bytes.subarray(1000, 400 * KIB + 1)),
  );
  assert.deepEqual(await read({ range: { suffix: 300 * KIB } }), Buffer.from(bytes.subarray(212 * KIB)));
  assert.deepEqual(await read({ range: { start: 300 * KIB } }), Buffer.from(bytes.subarray(300 * KIB)));
});

test('a stream fails when the file is replaced during the download', async (t) => {
  const server = await startServer(t);
  const direct = deviceOf(t, server);
  await put(direct, bytesOf(512 * KIB));
  const proxy = await startProxy(t, server.port, () => ({ cutAfterReceived: 100 * KIB }));
  const stream = deviceOf(t, server, proxy.origin).read('f', QUICK);
  await stream.next();
  await put(direct, bytesOf(512 * KIB, 2));
  await assert.rejects(collect(stream), refusedWith('precondition_failed'));
});
