/** tus-js-client with its usual options. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { Upload, type UploadOptions } from 'tus-js-client';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { startProxy } from '../support/servers/proxy.ts';

function options(server: TestServer, filename: string, more: Partial<UploadOptions> = {}): UploadOptions {
  return {
    endpoint: `${server.origin}/files/`,
    headers: server.client.headers,
    metadata: { filename, filetype: 'audio/wav' },
    retryDelays: [0, 200, 500, 1000, 1000, 1000],
    ...more,
  };
}

/** Completes an upload. `meanwhile` may interrupt it. */
function upload(
  source: Buffer | Readable,
  given: UploadOptions,
  meanwhile: (upload: Upload, sent: number) => void = () => {},
): Promise<Upload> {
  return new Promise((resolve, reject) => {
    const own: Upload = new Upload(source, {
      ...given,
      onError: reject,
      onSuccess: () => resolve(own),
      onProgress: (sent) => meanwhile(own, sent),
    });
    own.start();
  });
}

async function assertStored({ origin, client }: TestServer, name: string, bytes: Buffer): Promise<void> {
  const reply = await fetch(`${origin}/api/files/download/${name}`, { headers: client.headers });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('content-type'), 'audio/wav');
  assert.ok(Buffer.from(await reply.arrayBuffer()).equals(bytes));
}

test('tus-js-client uploads in one request, in many, and with the creation', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(3_000_000);
  await upload(bytes, options(server, 'one'));
  await assertStored(server, 'one', bytes);
  await upload(bytes, options(server, 'many', { chunkSize: 700_000 }));
  await assertStored(server, 'many', bytes);
  await upload(bytes, options(server, 'with', { uploadDataDuringCreation: true, chunkSize: 1_000_000 }));
  await assertStored(server, 'with', bytes);
  await upload(bytes, options(server, 'override', { overridePatchMethod: true }));
  await assertStored(server, 'override', bytes);
});

test('tus-js-client uploads a stream of unknown length', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(1_234_567);
  const pieces = Readable.from([bytes.subarray(0, 500_000), bytes.subarray(500_000)], { objectMode: false });
  await upload(pieces, options(server, 'deferred', { uploadLengthDeferred: true, chunkSize: 400_000 }));
  await assertStored(server, 'deferred', bytes);
});

test('tus-js-client pauses within a request and resumes after the bytes that arrived', async (t) => {
  const server = await startServer(t);
  // The rest of the request never arrives, so that the upload can pause within it.
  const proxy = await startProxy(t, server.port, () => ({ stallAfterSent: 8_000_000 }));
  const bytes = randomBytes(20_000_000);
  const paused = new Upload(bytes, {
    ...options(server, 'paused', { endpoint: `${proxy.origin}/files/` }),
    onSuccess: () => assert.fail('it was to be paused'),
  });
  paused.start();
  await eventually(() => proxy.sent >= 5_000_000, 'the middle');
  await paused.abort();
  const url = paused.url ?? '';
  proxy.rule = () => ({});
  const head = await fetch(url, { method: 'HEAD', headers: { ...server.client.headers, 'tus-resumable': '1.0.0' } });
  assert.equal(head.status, 200);
  const offset = Number(head.headers.get('upload-offset'));
  let first: number | null = null;
  await upload(bytes, options(server, 'paused', { uploadUrl: url }), (_own, sent) => {
    first ??= sent;
  });
  assert.ok(first !== null && first >= offset, 'bytes that arrived are not sent again');
  await assertStored(server, 'paused', bytes);
});

test('tus-js-client resumes after a restart of the server', async (t) => {
  const server = await startServer(t, { LADING_SHUTDOWN_SECONDS: '0' });
  const bytes = randomBytes(20_000_000);
  let next: Promise<TestServer> | null = null;
  await upload(bytes, options(server, 'restarted', { chunkSize: 2_000_000 }), (_own, sent) => {
    if (sent < 6_000_000 || next !== null) return;
    const settings = { LADING_PORT: String(server.port) };
    next = server.close().then(() => startServer(t, settings, {}, server.dataDir));
  });
  assert.ok(next);
  await next;
  // The port is the same, and the token of the client stays valid.
  await assertStored(server, 'restarted', bytes);
});

test('tus-js-client uploads in parallel parts', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(5_000_003);
  await upload(bytes, options(server, 'parallel', { parallelUploads: 3 }));
  await assertStored(server, 'parallel', bytes);
});

test('tus-js-client terminates an upload', async (t) => {
  const server = await startServer(t);
  const own = await upload(randomBytes(1000), options(server, 'ended', { chunkSize: 300 }));
  await Upload.terminate(own.url ?? '', options(server, 'ended'));
  const fields = { ...server.client.headers, 'tus-resumable': '1.0.0' };
  assert.equal((await fetch(own.url ?? '', { method: 'HEAD', headers: fields })).status, 404);
});
