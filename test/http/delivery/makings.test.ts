/** Every reader gets the same bytes, however the file was uploaded. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { AudioFile } from '../../../src/protocol/schemas/audio.ts';
import { wavHeader } from '../../support/audio.ts';
import { eventually } from '../../support/eventually.ts';
import { addHook, addTarget, store, WEBHOOK_SETTINGS } from '../../support/product/delivering.ts';
import { atEnd, startServer, type TestServer } from '../../support/product/server.ts';
import { noFtpServer, startFtpServer } from '../../support/servers/ftp-server.ts';
import { startReceiver } from '../../support/servers/webhook-receiver.ts';
import { put } from '../../support/wire/downloads.ts';
import { begin, metadata, TYPE } from '../../support/wire/tus.ts';

/** Audio, so that the players read it too: 16-bit samples, 8000 per second. */
const SAMPLES = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) % 251));
const BYTES = Buffer.concat([wavHeader(SAMPLES.length), SAMPLES]);
/** Where a part ends inside the WAV header. */
const FEW = 21;
const HALF = 123_457;

async function partial(server: TestServer, bytes: Buffer): Promise<string> {
  const fields = { 'upload-length': String(bytes.length), 'upload-concat': 'partial', 'content-type': TYPE };
  return await begin(server, fields, bytes);
}

/** Ways to upload a file. */
const UPLOADS: Record<string, (server: TestServer, name: string) => Promise<unknown>> = {
  'as a whole': (server, name) => store(server, name, BYTES),
  'as chunks out of order': async (server, name) => {
    const total = { total_size: String(BYTES.length) };
    await put(server, name, HALF, BYTES.subarray(HALF), total);
    await put(server, name, 0, BYTES.subarray(0, HALF), total);
  },
  'as concatenated tus uploads': async (server, name) => {
    const parts = [
      BYTES.subarray(0, FEW),
      BYTES.subarray(FEW, HALF),
      Buffer.alloc(0),
      BYTES.subarray(HALF, HALF + 1),
      BYTES.subarray(HALF + 1),
    ];
    const urls: string[] = [];
    for (const part of parts) urls.push(new URL(await partial(server, part)).pathname);
    await begin(server, {
      'upload-concat': `final;${urls.join(' ')}`,
      'upload-metadata': metadata({ filename: name }),
    });
  },
  'with an undeclared size': async (server, name) => {
    await put(server, name, 0, BYTES.subarray(0, HALF));
    await put(server, name, HALF, BYTES.subarray(HALF));
    const url = `${server.origin}/api/files/complete/${name}`;
    assert.equal((await fetch(url, { method: 'POST', headers: server.client.headers })).status, 200);
  },
  'as a replacement': async (server, name) => {
    await store(server, name, Buffer.from('the replaced file'));
    await store(server, name, BYTES, { overwrite: 'true' });
  },
};

/** A webhook receiver that checks the digest of each file and keeps it by its name. */
async function fileReceiver(t: TestContext): Promise<{ url: string; files: Map<string, Buffer> }> {
  const files = new Map<string, Buffer>();
  const server = createServer(async (request, response) => {
    const name = /filename="?([^";]+)/.exec(String(request.headers['content-disposition']))?.[1] ?? '';
    const blocks: Buffer[] = [];
    for await (const block of request) blocks.push(block as Buffer);
    const bytes = Buffer.concat(blocks);
    const digest = `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`;
    assert.equal(request.headers['content-digest'], digest);
    files.set(name, bytes);
    response.writeHead(204).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  atEnd(t, async () => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, files };
}

for (const [how, make] of Object.entries(UPLOADS)) {
  test(`a file uploaded ${how} has the same bytes in downloads, links, checks, players, FTP and webhooks`, {
    skip: noFtpServer,
  }, async (t) => {
    const ftp = await startFtpServer(t);
    const server = await startServer(t, WEBHOOK_SETTINGS);
    const events = await startReceiver(t);
    const files = await fileReceiver(t);
    await addHook(server, events.url, { name: 'events' });
    await addHook(server, files.url, { name: 'files', content: 'file' });
    await addTarget(server, ftp, { pattern: '{name}' });
    const name = 'made.wav';
    await make(server, name);
    const { origin, client } = server;
    const sha256 = createHash('sha256').update(BYTES).digest('hex');

    const download = await fetch(`${origin}/api/files/download/${name}`, { headers: client.headers });
    assert.ok(BYTES.equals(Buffer.from(await download.arrayBuffer())));
    const range = { ...client.headers, range: `bytes=${HALF - 3}-${HALF + 3}` };
    const part = await fetch(`${origin}/api/files/download/${name}`, { headers: range });
    assert.ok(BYTES.subarray(HALF - 3, HALF + 4).equals(Buffer.from(await part.arrayBuffer())));
    const digest = { ...client.headers, 'want-repr-digest': 'sha-256=10' };
    const head = await fetch(`${origin}/api/files/download/${name}`, { headers: digest });
    await head.arrayBuffer();
    const reprDigest = head.headers.get('repr-digest');
    if (reprDigest !== null) assert.equal(Buffer.from(reprDigest.slice(9, -1), 'base64').toString('hex'), sha256);

    const json = { ...client.headers, 'content-type': 'application/json' };
    const created = await fetch(`${origin}/api/files/share/${name}`, { method: 'POST', headers: json, body: '{}' });
    const { url } = (await created.json()) as { url: string };
    const shared = await fetch(new URL(new URL(url).pathname, origin));
    assert.ok(BYTES.equals(Buffer.from(await shared.arrayBuffer())));

    const verified = await fetch(`${origin}/api/files/verify/${name}`, { method: 'POST', headers: client.headers });
    assert.equal(((await verified.json()) as { ok: boolean }).ok, true);

    const sounds = (await (await fetch(`${origin}/v1/audio/`, { headers: client.headers })).json()) as AudioFile[];
    assert.deepEqual(
      sounds.map(({ duration_seconds: seconds, codec, channels }) => [seconds, codec, channels]),
      [[SAMPLES.length / 16_000, 'pcm_s16le', 1]],
    );
    const played = await fetch(`${origin}/v1/audio/file/${sounds[0]?.id}`, { headers: client.headers });
    assert.ok(BYTES.equals(Buffer.from(await played.arrayBuffer())));

    const completed = () => events.received.find(({ event }) => event.total_bytes === BYTES.length)?.event;
    await eventually(() => completed() !== undefined, 'the event');
    assert.equal(completed()?.sha256, sha256);
    await eventually(() => files.files.get(name)?.equals(BYTES) ?? false, 'the file at the webhook');
    await eventually(async () => {
      for (const entry of await readdir(ftp.home)) {
        if (!entry.startsWith('.') && BYTES.equals(await readFile(join(ftp.home, entry)))) return true;
      }
      return false;
    }, 'the file on the FTP server');
  });
}
