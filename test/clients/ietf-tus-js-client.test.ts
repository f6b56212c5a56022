/** tus-js-client with the resumable uploads of HTTP, in both drafts that it supports. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Upload, type UploadOptions } from 'tus-js-client-5';
import { startServer } from '../support/product/server.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { sha256Of } from '../support/wire/tus.ts';

const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function upload(bytes: Uint8Array, options: Partial<UploadOptions>): Promise<string> {
  return new Promise((resolve, reject) => {
    const own = new Upload(Buffer.from(bytes), {
      retryDelays: [0, 100, 500, 1000],
      ...options,
      onError: reject,
      onSuccess: () => resolve(own.url ?? ''),
    });
    own.start();
  });
}

for (const protocol of ['ietf-draft-03', 'ietf-draft-05'] as const) {
  test(`tus-js-client by ${protocol} uploads in one request, in many, and with the creation`, async (t) => {
    const server = await startServer(t);
    const bytes = randomBytes(2_000_001);
    const { headers } = server.client;
    const at = (name: string) => `${server.origin}/api/files/content/${name}`;
    await upload(bytes, { endpoint: at('one'), headers, protocol });
    assert.equal(await sha256Of(server, 'one'), sum(bytes));
    await upload(bytes, { endpoint: at('many'), headers, protocol, chunkSize: 300_000 });
    assert.equal(await sha256Of(server, 'many'), sum(bytes));
    await upload(bytes, { endpoint: at('with'), headers, protocol, uploadDataDuringCreation: true });
    assert.equal(await sha256Of(server, 'with'), sum(bytes));
  });

  test(`tus-js-client by ${protocol} resumes an upload after a reset`, async (t) => {
    const server = await startServer(t);
    const bytes = randomBytes(5_000_000);
    let cuts = 0;
    const proxy = await startProxy(t, server.port, () => {
      cuts += 1;
      return cuts <= 3 ? { cutAfterSent: 1_000_000 } : {};
    });
    const { headers } = server.client;
    await upload(bytes, { endpoint: `${proxy.origin}/api/files/content/cut`, headers, protocol, chunkSize: 2_000_000 });
    assert.ok(proxy.cuts > 0, 'it was cut');
    assert.equal(await sha256Of(server, 'cut'), sum(bytes));
  });
}
