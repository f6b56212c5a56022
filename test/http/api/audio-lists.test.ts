/** Audio files: names, lists, owners, and the route for WAV files. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { AudioFile, WavStored } from '../../../src/protocol/schemas/audio.ts';
import { encoded, hasFfmpeg, wav } from '../../support/audio.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { formOf, listed, namesOf, post, refused, upload } from './audio-setup.ts';

test('a second upload of a name is kept beside the first, or replaces the file and its description', async (t) => {
  const server = await startServer(t);
  const first = await upload(server, wav(), 'a.wav', '?file_description=first');
  const beside = await upload(server, wav(), 'a.wav');
  assert.equal(beside.file_name, 'a (2).wav');
  await fetch(`${server.origin}/api/files/a%20(2).wav`, { method: 'DELETE', headers: server.client.headers });
  assert.deepEqual(await listed(server, server.client), [first]);
  const second = await upload(server, wav({ seconds: 3 }), 'a.wav', '?overwrite=true');
  assert.deepEqual(await listed(server, server.client), [second]);
  assert.deepEqual([second.file_description, second.duration_seconds], [null, 3]);
  const old = await fetch(`${server.origin}/v1/audio/file/${first.id}`, { headers: server.client.headers });
  await refused(old, 404, 'not_found');
});

test('audio uploaded in chunks is listed, and a file that only claims to be audio is not', async (t) => {
  const server = await startServer(t);
  const chunk = async (name: string, bytes: Uint8Array, more = ''): Promise<void> => {
    const url = `${server.origin}/api/files/upload?filename=${name}&total_size=${bytes.length}${more}`;
    const headers = { ...server.client.headers, 'content-type': 'application/octet-stream' };
    const reply = await fetch(url, { method: 'POST', headers, body: new Uint8Array(encodeChunk(0, bytes)) });
    assert.equal(reply.status, 200);
  };
  await chunk('day%2Fa.wav', wav({ seconds: 2 }));
  await chunk('b.wav', randomBytes(1000));
  await chunk('c', wav(), '&content_type=audio/mpeg');
  await chunk('d.txt', Buffer.from('text'));
  const files = await listed(server, server.client);
  assert.deepEqual(files.map(({ file_name: name, duration_seconds: seconds }) => [name, seconds]).sort(), [
    ['c', 1],
    ['day/a.wav', 2],
  ]);
  const c = files.find(({ file_name: name }) => name === 'c');
  const reply = await fetch(`${server.origin}/v1/audio/file/${c?.id}`, { headers: server.client.headers });
  assert.equal(reply.headers.get('content-type'), 'audio/wav');
});

test('the list has pages', async (t) => {
  const server = await startServer(t);
  for (let i = 0; i < 5; i += 1) await upload(server, wav(), `${i}.wav`);
  const names: string[] = [];
  let path: string | undefined = '/v1/audio/?limit=2';
  let pages = 0;
  while (path !== undefined) {
    const reply: Response = await fetch(`${server.origin}${path}`, { headers: server.client.headers });
    names.push(...((await reply.json()) as AudioFile[]).map(({ file_name: name }) => name));
    path = /^<([^>]+)>; rel="next"$/.exec(reply.headers.get('link') ?? '')?.[1];
    pages += 1;
  }
  assert.deepEqual([pages, names.sort()], [3, ['0.wav', '1.wav', '2.wav', '3.wav', '4.wav']]);
  await refused(
    await fetch(`${server.origin}/v1/audio/?limit=0`, { headers: server.client.headers }),
    400,
    'invalid_request',
  );
});

test('audio is visible only to its owner, loses its description with the file, and survives a restart', async (t) => {
  const server = await startServer(t);
  const kept = await upload(server, wav(), 'kept.wav', '?file_description=kept');
  const gone = await upload(server, wav(), 'gone.wav', '?file_description=gone');
  const other = await server.enrol();
  assert.deepEqual(await listed(server, other), []);
  await refused(await fetch(`${server.origin}/v1/audio/file/${kept.id}`, { headers: other.headers }), 404, 'not_found');
  await refused(await fetch(`${server.origin}/v1/audio/file/1`, { headers: other.headers }), 404, 'not_found');
  const removed = await fetch(`${server.origin}/api/files/gone.wav`, {
    method: 'DELETE',
    headers: server.client.headers,
  });
  assert.equal(removed.status, 200);
  await refused(
    await fetch(`${server.origin}/v1/audio/file/${gone.id}`, { headers: server.client.headers }),
    404,
    'not_found',
  );
  assert.deepEqual(await listed(server, server.client), [kept]);
  const documents = (): Promise<string[]> => readdir(join(server.dataDir, 'v1/audio'));
  await eventually(async () => (await documents()).length === 1, 'the end of the description');
  assert.deepEqual(await documents(), [`${kept.id}.json`]);
  await server.close();
  const again = await startServer(t, {}, {}, server.dataDir);
  assert.deepEqual(await listed(again, server.client), [kept]);
  const bare = await fetch(`${again.origin}/v1/audio/`);
  await refused(bare, 401, 'unauthorized');
});

test('POST /api/upload accepts WAV files and has its own form of errors', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '100000' });
  const send = (form: FormData | string, query = ''): Promise<Response> =>
    post(server, server.client, `/api/upload${query}`, form);
  const reply = await send(formOf('audio_file', wav(), 'call.WAV'));
  assert.equal(reply.status, 201);
  assert.deepEqual((await reply.json()) as WavStored, {
    status: 'success',
    message: 'File uploaded successfully',
    filename: 'call.WAV',
    local_path: 'call.WAV',
    uploaded_by: server.client.id,
  });
  const [file] = await listed(server, server.client);
  assert.deepEqual([file?.file_name, file?.duration_seconds], ['call.WAV', 1]);
  const bad: [string, FormData | string][] = [
    ['another name', formOf('audio_file', wav(), 'a.mp3')],
    ['no WAV', formOf('audio_file', randomBytes(100), 'a.wav')],
    ['empty', formOf('audio_file', Buffer.alloc(0), 'a.wav')],
    ['another part', formOf('file', wav(), 'a.wav')],
    ['no file', formOf('audio_file', wav(), null)],
    ['no form', 'text'],
    ['too large', formOf('audio_file', wav({ seconds: 10 }), 'a.wav')],
  ];
  for (const [what, form] of bad) {
    const no = await send(form);
    assert.deepEqual([no.status, no.headers.get('content-type')], [400, 'application/json; charset=utf-8'], what);
    const body = (await no.json()) as { error: string };
    assert.deepEqual(Object.keys(body), ['error', 'message'], what);
    assert.equal(typeof body.error, 'string');
  }
  assert.deepEqual(await namesOf(server), ['call.WAV']);
  assert.equal((await send(formOf('audio_file', wav({ seconds: 2 }), 'call.WAV'), '?overwrite=true')).status, 201);
  const nobody = await fetch(`${server.origin}/api/upload`, {
    method: 'POST',
    body: formOf('audio_file', wav(), 'a.wav'),
  });
  assert.equal(nobody.status, 401);
  assert.deepEqual(Object.keys((await nobody.json()) as object), ['error', 'message', 'description']);
});

test('an MP3 named .wav is refused', { skip: hasFfmpeg ? false : 'ffmpeg is not installed' }, async (t) => {
  const server = await startServer(t);
  const reply = await post(server, server.client, '/api/upload', formOf('audio_file', await encoded('a.mp3'), 'a.wav'));
  assert.equal(reply.status, 400);
  assert.deepEqual(await namesOf(server), []);
});
