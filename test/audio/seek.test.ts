/** A browser plays an uploaded audio file and seeks in it with range requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioFile } from '../../src/protocol/schemas/audio.ts';
import { encoded, hasFfmpeg, wav } from '../support/audio.ts';
import { startServer } from '../support/product/server.ts';
import { visit, WITHOUT_BROWSER } from '../support/servers/chromium.ts';

test('an audio element shows the duration of a file and seeks in it', { skip: WITHOUT_BROWSER }, async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const files: [string, Buffer][] = [['long.wav', wav({ seconds: 120 })]];
  if (hasFfmpeg) files.push(['short.mp3', await encoded('short.mp3')]);
  const { context, page } = await visit(t, `${origin}/`);
  await context.addCookies([{ name: 'access_token', value: client.token, url: origin }]);
  for (const [name, bytes] of files) {
    const form = new FormData();
    form.set('file', new Blob([new Uint8Array(bytes)]), name);
    const stored = await fetch(`${origin}/v1/audio/file`, { method: 'POST', headers: client.headers, body: form });
    const { id } = (await stored.json()) as AudioFile;
    const statuses: number[] = [];
    page.on('response', (reply) => {
      if (reply.url().includes(String(id))) statuses.push(reply.status());
    });
    const played = await page.evaluate(
      `new Promise((resolve, reject) => {
        const audio = new Audio('/v1/audio/file/${id}');
        audio.onerror = () => reject(new Error(audio.error.message));
        audio.onloadedmetadata = () => { audio.currentTime = audio.duration / 2; };
        audio.onseeked = () => resolve({ duration: audio.duration, at: audio.currentTime });
        audio.load();
      })`,
    );
    const { duration, at } = played as { duration: number; at: number };
    assert.ok(duration > 1 && Math.abs(duration / 2 - at) < 0.1, `${name}: ${duration} s, at ${at}`);
    assert.ok(statuses.length > 0 && statuses.every((status) => status === 206), `${name}: ${statuses}`);
  }
});
