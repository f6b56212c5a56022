/** Complete files with lost bytes: deliveries and players report the damage, and work again once the bytes are restored. */
import assert from 'node:assert/strict';
import { readdir, rename, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AudioFile } from '../../../src/protocol/schemas/audio.ts';
import { wav } from '../../support/audio.ts';
import { eventually } from '../../support/eventually.ts';
import { addHook, addTarget, deliveries, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { startServer } from '../../support/product/server.ts';
import { noFtpServer, startFtpServer } from '../../support/servers/ftp-server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { assertProblemReply } from '../../support/wire/wire.ts';

const SOUND = wav();

async function blobs(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'v1/files'), { recursive: true, withFileTypes: true });
  return entries.filter(({ name }) => name === 'blob').map(({ parentPath }) => join(parentPath, 'blob'));
}

for (const how of ['missing', 'cut short'] as const) {
  test(`deliveries of a file that is ${how} report the damage, wait, and succeed once it is restored`, {
    skip: noFtpServer,
  }, async (t) => {
    const ftp = await startFtpServer(t);
    const first = await startServer(t, WEBHOOK_SETTINGS);
    const receiver = await startReceiver(t);
    await addHook(first, receiver.url, { name: 'files', content: 'file' });
    await addHook(first, `${receiver.url}/events`, { name: 'events' });
    await addTarget(first, ftp, { pattern: '{name}' });
    receiver.answer(500);
    await ftp.stop();
    await store(first, 'a.txt', Buffer.from('{"a":"b"}'));
    await eventually(
      async () => (await deliveries(first)).every(({ attempts }) => attempts >= 1),
      'an attempt of each',
    );
    await first.close();
    const [blob = ''] = await blobs(first.dataDir);
    if (how === 'missing') await rename(blob, `${blob}.kept`);
    else await truncate(blob, 3);
    await ftp.start();
    const server = await startServer(t, WEBHOOK_SETTINGS, {}, first.dataDir);
    await eventually(async () => {
      const all = await deliveries(server);
      const damaged = all.filter(({ last_error: error }) => /lost bytes of this file: [03] of 9/.test(error ?? ''));
      return damaged.length >= 2;
    }, 'a report of the damage');
    assert.deepEqual(await ftp.names(), []);
    if (how !== 'missing') return;
    receiver.answer(204);
    await rename(`${blob}.kept`, blob);
    await eventually(async () => (await deliveries(server, '?state=delivered')).length === 3, 'all three');
    assert.deepEqual(await ftp.names(), ['a.txt']);
  });

  test(`an audio file that is ${how} is reported as damaged until it is restored`, async (t) => {
    const server = await startServer(t, WEBHOOK_SETTINGS);
    const { origin, client } = server;
    const get = (path: string) => fetch(`${origin}${path}`, { headers: client.headers });
    await store(server, 'a.wav', SOUND);
    const { id } = (await (await get('/api/files/status/a.wav')).json()) as { id: string };
    const [blob = ''] = await blobs(server.dataDir);
    await rename(blob, `${blob}.kept`);
    if (how === 'cut short') {
      await rename(`${blob}.kept`, blob);
      await truncate(blob, 30);
    }
    for (let twice = 0; twice < 2; twice += 1) {
      assert.deepEqual(await (await get('/v1/audio/')).json(), []);
      await assertProblemReply(await get(`/v1/audio/file/${id}`), 'file_damaged');
    }
    if (how === 'missing') await rename(`${blob}.kept`, blob);
    else await store(server, 'a.wav', SOUND, { overwrite: 'true' });
    const list = (await (await get('/v1/audio/')).json()) as AudioFile[];
    assert.deepEqual(
      list.map(({ duration_seconds: seconds }) => seconds),
      [1],
    );
  });
}
