/** Uppy with its tus plugin, in a page of a different origin. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../support/product/server.ts';
import { WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { bundled, clientPage } from '../support/wire/client-page.ts';
import { sha256Of } from '../support/wire/tus.ts';

const ENTRY = `
  import Uppy from '@uppy/core';
  import Tus from '@uppy/tus';
  const sha256 = async (bytes) =>
    [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  globalThis.send = async (files, options, pauses) => {
    const uppy = new Uppy({ autoProceed: false }).use(Tus, { retryDelays: [0, 100, 500, 1000], ...options });
    const sums = [];
    for (const { name, size } of files) {
      const bytes = new Uint8Array(size).map((_, at) => (at * 2654435761 + size) >>> 24);
      sums.push([name, await sha256(bytes)]);
      uppy.addFile({ name, type: 'audio/wav', data: new Blob([bytes]) });
    }
    let paused = false;
    uppy.on('upload-progress', (file, { bytesUploaded }) => {
      // A pause before an upload has its URL would make Uppy create it again, under the next free name.
      const created = uppy.getFiles().every(({ tus }) => tus?.uploadUrl);
      if (!pauses || paused || bytesUploaded < 500000 || !created) return;
      paused = true;
      uppy.pauseAll();
      setTimeout(() => uppy.resumeAll(), 100);
    });
    const { successful, failed } = await uppy.upload();
    if (pauses && !paused) throw new Error('it was not paused');
    return { sums, failed: failed.map(({ error }) => error), urls: successful.map(({ uploadURL }) => uploadURL) };
  };
`;

test('Uppy uploads several files, with a pause', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await startServer(t);
  const page = await clientPage(t, await bundled(ENTRY));
  const options = { endpoint: `${server.origin}/files/`, headers: server.client.headers, chunkSize: 300_000 };
  const files = [
    { name: 'one.wav', size: 3_000_000 },
    { name: 'two.wav', size: 700_000 },
    { name: 'three.wav', size: 1 },
  ];
  const sent = `send(${JSON.stringify(files)}, ${JSON.stringify(options)}, true)`;
  const { sums, failed, urls } = (await page.evaluate(sent)) as {
    sums: [string, string][];
    failed: string[];
    urls: string[];
  };
  assert.deepEqual(failed, []);
  assert.equal(urls.length, files.length);
  for (const [name, sum] of sums) assert.equal(await sha256Of(server, name), sum);
});
