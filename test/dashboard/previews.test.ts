/** Previews of files that are too large for memory, and expired players. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockOf } from '../support/product/clock.ts';
import { signInTo, waitUntilTrue } from '../support/product/dashboard.ts';
import { type Account, startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

/** A WAV file with silence in 8-bit samples. */
function silence(seconds: number, rate: number): Buffer {
  const head = Buffer.alloc(44);
  const bytes = seconds * rate;
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + bytes, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(8, 34);
  head.write('data', 36);
  head.writeUInt32LE(bytes, 40);
  return Buffer.concat([head, Buffer.alloc(bytes, 128)]);
}

async function store(origin: string, { headers }: Account, name: string, body: Buffer, type: string): Promise<void> {
  const url = `${origin}/api/files/content/${name}`;
  const reply = await fetch(url, { method: 'PUT', headers: { ...headers, 'content-type': type }, body });
  assert.ok(reply.ok, await reply.text());
}

test('a long recording plays from any position, and a long text shows its beginning', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  const { origin, client } = await startServer(t);
  await store(origin, client, 'long.wav', silence(1000, 40_000), 'audio/wav');
  const line = 'a line with an ä in it\n';
  await store(origin, client, 'long.txt', Buffer.from(line.repeat(1_600_000)), 'text/plain');
  const { page, faults } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  await page.getByRole('button', { name: 'long.wav', exact: true }).click();
  await page.getByText('There is no waveform. The file is larger than 32.0 MiB').waitFor();
  await waitUntilTrue(page, "document.querySelector('audio')?.duration > 999");
  await page.evaluate("document.querySelector('audio').currentTime = 900");
  await waitUntilTrue(
    page,
    "document.querySelector('audio').currentTime >= 900 && !document.querySelector('audio').seeking",
  );
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'long.txt', exact: true }).click();
  await page.getByText('The first 64.0 KiB of').waitFor();
  const shown = (await page.locator('pre').textContent()) ?? '';
  assert.ok(shown.startsWith(line) && !shown.includes('�'));
  assert.deepEqual(faults, []);
});

test('playback continues with a new player after the old one expires, and the URL is invalid after a sign-out', {
  skip: WITHOUT_BROWSER,
}, async (t) => {
  let elapsed = 0;
  const { origin, client } = await startServer(t, {}, { clock: clockOf(() => Date.now() + elapsed) });
  await store(origin, client, 'long.wav', silence(1000, 40_000), 'audio/wav');
  const { page, context, faults } = await visit(t, `${origin}/`);
  await signInTo(page, client);
  await page.getByRole('button', { name: 'long.wav', exact: true }).click();
  await waitUntilTrue(page, "document.querySelector('audio')?.duration > 999");
  const before = String(await page.evaluate("document.querySelector('audio').src"));
  elapsed += 16 * 60_000;
  await page.evaluate("document.querySelector('audio').currentTime = 900");
  await waitUntilTrue(page, `document.querySelector('audio').src !== '${before}'`);
  await waitUntilTrue(
    page,
    "document.querySelector('audio').currentTime >= 900 && !document.querySelector('audio').seeking",
  );
  const after = String(await page.evaluate("document.querySelector('audio').src"));
  assert.equal((await context.request.get(after)).status(), 200);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal((await context.request.get(after)).status(), 404);
  assert.deepEqual(faults, []);
});
