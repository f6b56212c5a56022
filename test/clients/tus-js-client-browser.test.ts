/** tus-js-client in a browser, in a page of another site, as web applications use it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { signIn, startServer } from '../support/product/server.ts';
import { WITHOUT_BROWSER } from '../support/servers/chromium.ts';
import { startServerProcess, temporaryFolder } from '../support/servers/processes.ts';
import { clientPage, tusJsClient } from '../support/wire/client-page.ts';
import { sha256Of } from '../support/wire/tus.ts';

/** Helpers in the page: they generate bytes and upload them. The upload resolves with the SHA-256 of the bytes. */
const HELPERS = `
  globalThis.bytesOf = (size) => {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65536)));
    return bytes;
  };
  globalThis.sha256 = async (bytes) =>
    [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  globalThis.upload = (bytes, options, meanwhile) => new Promise((resolve, reject) => {
    const file = new File([bytes], options.metadata.filename, { type: 'audio/wav', lastModified: 1 });
    const upload = new tus.Upload(file, {
      retryDelays: [0, 100, 500, 1000, 1000, 1000, 1000, 1000],
      ...options,
      onError: reject,
      onSuccess: () => resolve(upload.url),
      onChunkComplete: (size, accepted) => meanwhile?.(upload, accepted),
    });
    globalThis.current = upload;
    upload.findPreviousUploads().then(([previous]) => {
      if (previous) upload.resumeFromPreviousUpload(previous);
      upload.start();
    }, reject);
  });
`;

async function openPage(t: Parameters<typeof clientPage>[0]): Promise<Page> {
  return await clientPage(t, `${await tusJsClient()}\n${HELPERS}`);
}

interface Given {
  size: number;
  options: object;
}

/** Runs code in the page, with `size`, `options` and the functions above in scope. */
function run<T>(page: Page, body: string, given: Given): Promise<T> {
  return page.evaluate(`(async ({ size, options }) => { ${body} })(${JSON.stringify(given)})`) as Promise<T>;
}

test('tus-js-client in a browser uploads in one request, in many, and with a deferred length', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const page = await openPage(t);
  const given = (filename: string, more: object = {}): Given => ({
    size: 3_000_001,
    options: { endpoint: `${server.origin}/files/`, headers: server.client.headers, metadata: { filename }, ...more },
  });
  const whole = 'const bytes = bytesOf(size); await upload(bytes, options); return await sha256(bytes);';
  const one = await run<string>(page, whole, given('one'));
  assert.equal(await sha256Of(server, 'one'), one);
  const many = given('many', { chunkSize: 400_000 });
  const sum = await run<string>(page, whole, many);
  assert.equal(await sha256Of(server, 'many'), sum);
  const deferred = given('deferred', { chunkSize: 500_000, uploadLengthDeferred: true });
  const late = await run<string>(page, whole, deferred);
  assert.equal(await sha256Of(server, 'deferred'), late);
});

test('tus-js-client in a browser pauses, resumes, and uploads in parallel parts', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const server = await startServer(t);
  const page = await openPage(t);
  const endpoint = `${server.origin}/files/`;
  const { headers } = server.client;
  const paused = `
    const bytes = bytesOf(size);
    let pauses = 0;
    await upload(bytes, options, (own, accepted) => {
      if (accepted < 1000000 || pauses > 0) return;
      pauses += 1;
      own.abort().then(() => setTimeout(() => own.start(), 50));
    });
    if (pauses !== 1) throw new Error('it was not paused');
    return await sha256(bytes);
  `;
  const options = { endpoint, headers, chunkSize: 300_000, metadata: { filename: 'paused' } };
  const sum = await run<string>(page, paused, { size: 3_000_000, options });
  assert.equal(await sha256Of(server, 'paused'), sum);
  const parallel = { endpoint, headers, parallelUploads: 4, metadata: { filename: 'parallel', filetype: 'audio/wav' } };
  const whole = 'const bytes = bytesOf(size); await upload(bytes, options); return await sha256(bytes);';
  const joined = await run<string>(page, whole, { size: 8_000_003, options: parallel });
  assert.equal(await sha256Of(server, 'parallel'), joined);
});

test('tus-js-client in a browser resumes after a crash of the server and a reload of the page', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const folder = join(await temporaryFolder(t), 'data');
  const first = await startServerProcess(t, folder);
  const origin = `http://127.0.0.1:${first.port}`;
  const { access_token: token } = await signIn(origin, 'admin', String(first.env.LADING_CLIENT_SECRET));
  const headers = { authorization: `Bearer ${token}` };
  const page = await openPage(t);
  const options = { endpoint: `${origin}/files/`, headers, chunkSize: 250_000, metadata: { filename: 'killed' } };
  // A pattern, so that the bytes are the same after a reload of the page.
  const make = 'const bytes = new Uint8Array(size).map((_, at) => (at * 2654435761) >>> 24);';
  const begin = `${make} globalThis.done = upload(bytes, options, (own, accepted) => { globalThis.accepted = accepted; }).catch(() => {});`;
  await run(page, begin, { size: 6_000_000, options });
  await page.waitForFunction('globalThis.accepted > 1000000');
  await first.kill();
  await page.reload();
  await startServerProcess(t, folder, first.port);
  const resume = `
    ${make}
    let least = Infinity;
    await upload(bytes, options, (own, accepted) => { least = Math.min(least, accepted); });
    return [await sha256(bytes), least];
  `;
  const [sum, least] = await run<[string, number]>(page, resume, { size: 6_000_000, options });
  assert.ok(least > 1_000_000, 'stored bytes are not sent again');
  const server = { origin, client: { id: '', secret: '', token, headers } };
  assert.equal(await sha256Of(server, 'killed'), sum);
});
