import assert from 'node:assert/strict';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  blobSource,
  type LadingClient,
  LadingError,
  NetworkError,
  SourceChangedError,
  VerificationError,
} from '../../../src/client/client.ts';
import { uploadFile } from '../../../src/client/node.ts';
import type { UploadOptions } from '../../../src/client/transfer/upload.ts';
import { fetchTransport } from '../../../src/client/transport/fetch.ts';
import { crc32, hex32 } from '../../../src/protocol/crc32.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { bytesOf, clientOf, collect, deviceOf, QUICK, sourceOf } from '../../support/tables/fixtures.ts';

const KIB = 1024;
const refusedWith = (code: string) => (error: unknown) => error instanceof LadingError && error.code === code;
const options = (over: Partial<UploadOptions> = {}): UploadOptions => ({
  name: 'f',
  chunkSize: 16 * KIB,
  ...QUICK,
  ...over,
});

async function stored(client: LadingClient, name = 'f'): Promise<Buffer> {
  return collect((await client.download(name)).body);
}

/** Uploads until `until` bytes are confirmed, then stops. */
async function begin(client: LadingClient, bytes: Uint8Array<ArrayBuffer>, until: number): Promise<void> {
  const stop = new AbortController();
  const enough = new Error('enough');
  const onProgress: UploadOptions['onProgress'] = ({ done }) => done >= until && stop.abort(enough);
  const running = client.upload(sourceOf(bytes), options({ parallel: 1, signal: stop.signal, onProgress }));
  await assert.rejects(running, enough);
}

test('a file is uploaded with progress, and not sent again when it is already stored', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const bytes = bytesOf(200 * KIB + 13);
  const seen: number[] = [];
  const onProgress: UploadOptions['onProgress'] = ({ done, total }) => {
    assert.equal(total, bytes.length);
    seen.push(done);
  };
  const first = await client.upload(sourceOf(bytes), options({ contentType: 'audio/wav', onProgress }));
  assert.deepEqual([first.already, first.resumed, first.sent, first.digest], [false, 0, bytes.length, null]);
  assert.deepEqual([first.status.status, first.status.crc32], ['complete', hex32(crc32(bytes))]);
  assert.equal(first.status.content_type, 'audio/wav');
  assert.equal(seen[0], 0);
  assert.equal(seen.at(-1), bytes.length);
  assert.deepEqual(await stored(client), Buffer.from(bytes));
  const again = await client.upload(sourceOf(bytes), options());
  assert.deepEqual([again.already, again.sent, again.status.id], [true, 0, first.status.id]);
});

test('an interrupted upload resumes with the missing bytes', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const bytes = bytesOf(160 * KIB);
  await begin(client, bytes, 80 * KIB);
  const before = (await client.status('f')).bytes_received;
  assert.ok(before >= 80 * KIB && before < bytes.length);
  const { resumed, sent, already } = await client.upload(sourceOf(bytes), options());
  assert.deepEqual([already, resumed, sent], [false, before, bytes.length - before]);
  assert.deepEqual(await stored(client), Buffer.from(bytes));
});

test('different content is replaced only with overwrite, and readable until the new file is complete', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const [old, replacement] = [bytesOf(50 * KIB), bytesOf(90 * KIB, 2)];
  await client.upload(sourceOf(old), options());
  await assert.rejects(client.upload(sourceOf(replacement), options()), refusedWith('file_complete'));
  const readers: Promise<Buffer>[] = [];
  const onProgress: UploadOptions['onProgress'] = ({ done }) => {
    if (done > 0 && readers.length === 0) readers.push(stored(client));
  };
  const slow = sourceOf(replacement, { check: async () => void (await readers[0]) });
  const result = await client.upload(slow, options({ overwrite: true, parallel: 3, onProgress }));
  assert.deepEqual(await readers[0], Buffer.from(old));
  assert.equal(result.sent, replacement.length);
  assert.deepEqual(await stored(client), Buffer.from(replacement));
  const again = await client.upload(sourceOf(replacement), options({ overwrite: true }));
  assert.equal(again.already, true);
});

test('an interrupted replacement resumes, with or without overwrite', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const [old, replacement] = [bytesOf(50 * KIB), bytesOf(90 * KIB, 2)];
  await client.upload(sourceOf(old), options());
  const stop = new AbortController();
  const onProgress: UploadOptions['onProgress'] = ({ done }) => done >= 32 * KIB && stop.abort(new Error('enough'));
  const first = client.upload(
    sourceOf(replacement),
    options({ overwrite: true, parallel: 1, signal: stop.signal, onProgress }),
  );
  await assert.rejects(first, /enough/);
  assert.deepEqual(await stored(client), Buffer.from(old));
  const { resumed } = await client.upload(sourceOf(replacement), options());
  assert.ok(resumed >= 32 * KIB);
  assert.deepEqual(await stored(client), Buffer.from(replacement));
});

test('empty files are uploaded, recognized as stored, and replaced', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const empty = sourceOf(new Uint8Array());
  assert.equal((await client.upload(empty, options())).status.status, 'complete');
  assert.equal((await client.upload(empty, options())).already, true);
  await client.upload(sourceOf(bytesOf(10)), options({ overwrite: true }));
  assert.equal((await stored(client)).length, 10);
  await client.upload(empty, options({ overwrite: true }));
  assert.equal((await stored(client)).length, 0);
});

test('an unfinished upload of a different size is a conflict, and overwrite replaces it', async (t) => {
  const client = deviceOf(t, await startServer(t));
  await begin(client, bytesOf(160 * KIB), 32 * KIB);
  for (const size of [100 * KIB, 200 * KIB]) {
    await assert.rejects(client.upload(sourceOf(bytesOf(size, 2)), options()), refusedWith('size_conflict'));
  }
  for (const size of [100 * KIB, 200 * KIB]) {
    await client.remove('f');
    await begin(client, bytesOf(160 * KIB), 32 * KIB);
    await client.upload(sourceOf(bytesOf(size, 2)), options({ overwrite: true }));
    assert.deepEqual(await stored(client), Buffer.from(bytesOf(size, 2)));
  }
});

test('a file that changed between two runs never mixes with the bytes sent before', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const folder = await temporaryFolder(t);
  const path = join(folder, 'f');
  const [old, replacement] = [bytesOf(160 * KIB), bytesOf(160 * KIB, 2)];
  await begin(client, old, 80 * KIB);
  await writeFile(path, replacement);
  let restarts = 0;
  const onRestart = () => {
    restarts += 1;
  };
  const result = await uploadFile(client, path, options({ onRestart }));
  assert.equal(restarts, 1);
  assert.equal(result.digest?.algorithm, 'sha-256');
  assert.deepEqual(await stored(client), Buffer.from(replacement));

  await client.remove('f');
  await begin(client, old, 80 * KIB);
  await assert.rejects(uploadFile(client, path, options({ digest: 'never' })), VerificationError);
});

test('the digest of the file is sent with the last chunk at the latest', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const bytes = bytesOf(100 * KIB);
  const value = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const slow = sourceOf(bytes, {
    digest: async () => {
      // All chunks except the one that waits for the digest have arrived.
      while ((await client.status('f')).bytes_received < 96 * KIB)
        await new Promise((resolve) => setTimeout(resolve, 5));
      return { algorithm: 'sha-256', value };
    },
  });
  const { digest } = await client.upload(slow, options({ digest: 'always' }));
  assert.deepEqual(digest?.value, value);
  assert.deepEqual((await client.head('f')).reprDigest?.value, value);
  await client.remove('f');
  const wrong = sourceOf(bytes, { digest: async () => ({ algorithm: 'sha-256', value: value.toReversed() }) });
  await assert.rejects(client.upload(wrong, options({ digest: 'always' })), refusedWith('digest_mismatch'));
  assert.equal((await client.status('f')).status, 'pending');
});

test('chunks that the server refuses as too large become smaller', async (t) => {
  const client = deviceOf(t, await startServer(t, { LADING_MAX_CHUNK_BYTES: '5000' }));
  const bytes = bytesOf(60_000);
  await client.upload(sourceOf(bytes), options({ chunkSize: 64 * KIB }));
  assert.deepEqual(await stored(client), Buffer.from(bytes));
});

test('a file too large for the server is refused at once', async (t) => {
  const client = deviceOf(t, await startServer(t, { LADING_MAX_FILE_BYTES: '1000' }));
  await assert.rejects(client.upload(sourceOf(bytesOf(2000)), options()), refusedWith('file_too_large'));
});

test('all gaps are filled, even if there are more than a status lists', async (t) => {
  const client = deviceOf(t, await startServer(t, { LADING_DURABILITY: 'seal' }));
  const bytes = bytesOf(2010);
  const odd = Array.from({ length: 1005 }, (_, i) => i * 2);
  const send = async () => {
    for (let start = odd.pop(); start !== undefined; start = odd.pop()) {
      await client.uploadChunk('f', { start, data: bytes.slice(start, start + 1), totalSize: 2010 });
    }
  };
  await Promise.all([send(), send(), send(), send()]);
  assert.equal((await client.status('f')).missing_more, true);
  const { sent, resumed } = await client.upload(sourceOf(bytes), options({ digest: 'never' }));
  assert.deepEqual([sent, resumed], [1005, 1005]);
  assert.deepEqual(await stored(client), Buffer.from(bytes));
});

test('an upload fails when the file changes while it is sent', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const path = join(await temporaryFolder(t), 'growing.log');
  await writeFile(path, bytesOf(100 * KIB));
  let written: Promise<void> | null = null;
  const onProgress: UploadOptions['onProgress'] = ({ done }) => {
    if (done > 0) written ??= appendFile(path, 'more');
  };
  await assert.rejects(uploadFile(client, path, options({ name: 'f', parallel: 1, onProgress })), SourceChangedError);
  await written;
  assert.equal((await client.status('f')).status, 'partial');
});

test('only regular files can be uploaded', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const folder = await temporaryFolder(t);
  await assert.rejects(uploadFile(client, folder), TypeError);
  await assert.rejects(uploadFile(client, join(folder, 'absent')), /ENOENT/);
});

test('an upload without a server gives up after retryForMs, and a refusal is not retried', async (t) => {
  const server = await startServer(t);
  const refused = clientOf(t, { server: server.origin, token: 'nonsense' });
  let retries = 0;
  const onRetry = () => {
    retries += 1;
  };
  await assert.rejects(refused.upload(sourceOf(bytesOf(10)), options({ onRetry })), refusedWith('unauthorized'));
  assert.equal(retries, 0);
  await server.close();
  const client = deviceOf(t, server);
  await assert.rejects(client.upload(sourceOf(bytesOf(10)), options({ onRetry, retryForMs: 1000 })), NetworkError);
  assert.ok(retries > 0);
});

test('two uploads of the same file at once both succeed', async (t) => {
  const server = await startServer(t);
  const bytes = bytesOf(200 * KIB);
  const both = [deviceOf(t, server), deviceOf(t, server)].map((client) => client.upload(sourceOf(bytes), options()));
  for (const { status } of await Promise.all(both)) assert.equal(status.crc32, hex32(crc32(bytes)));
});

test('a blob is uploaded with the fetch transport, as in a browser', async (t) => {
  const server: TestServer = await startServer(t);
  const client = clientOf(t, { server: server.origin, token: server.client.token, transport: fetchTransport() });
  const bytes = bytesOf(100 * KIB);
  await client.upload(blobSource(new Blob([bytes])), options());
  assert.deepEqual(await stored(client), Buffer.from(bytes));
});
