/** Audio files over HTTP: what is taken, what is told of it, what is refused and then leaves nothing. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { AudioFile, WavStored } from '../../../src/protocol/schemas/audio.ts';
import { encoded, hasFfmpeg, wav } from '../../support/audio.ts';
import { eventually } from '../../support/eventually.ts';
import { type Account, startServer, type TestServer } from '../../support/product/server.ts';
import { Wire } from '../../support/wire/wire.ts';

type Fields = Record<string, string>;
type Who = Pick<Account, 'headers'>;

function formOf(part: string, bytes: Uint8Array, fileName: string | null, fields: Fields = {}): FormData {
  const form = new FormData();
  if (fileName === null) form.set(part, 'text');
  else form.set(part, new Blob([new Uint8Array(bytes)]), fileName);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return form;
}

async function post({ origin }: TestServer, who: Who, path: string, form: FormData | string): Promise<Response> {
  return await fetch(`${origin}${path}`, { method: 'POST', headers: who.headers, body: form });
}

async function upload(
  server: TestServer,
  bytes: Uint8Array,
  name: string,
  query = '',
  fields: Fields = {},
): Promise<AudioFile> {
  const reply = await post(server, server.client, `/v1/audio/file${query}`, formOf('file', bytes, name, fields));
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  return JSON.parse(text) as AudioFile;
}

async function listed({ origin }: TestServer, { headers }: Who, query = ''): Promise<AudioFile[]> {
  const reply = await fetch(`${origin}/v1/audio/${query}`, { headers });
  assert.equal(reply.status, 200);
  return (await reply.json()) as AudioFile[];
}

async function namesOf({ origin, client }: TestServer): Promise<string[]> {
  const reply = await fetch(`${origin}/api/files`, { headers: client.headers });
  return ((await reply.json()) as { files: { filename: string }[] }).files.map(({ filename }) => filename);
}

async function refused(reply: Response, status: number, code: string): Promise<void> {
  const problem = (await reply.json()) as { code: string };
  assert.deepEqual([reply.status, problem.code], [status, code]);
}

test('a WAV file is stored, described, listed and played from anywhere', async (t) => {
  const server = await startServer(t);
  const bytes = wav({ seconds: 2, rate: 16_000, channels: 2 });
  const made = await upload(server, bytes, 'C:\\tones\\a.wav', '', { file_description: 'Ein Ton – 440 Hz' });
  const { id, ...rest } = made;
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.deepEqual(rest, {
    file_name: 'a.wav',
    file_description: 'Ein Ton – 440 Hz',
    file_size: bytes.length,
    user_id: server.client.id,
    original_name: 'a.wav',
    duration_seconds: 2,
    sample_rate: 16_000,
    channels: 2,
    codec: 'pcm_s16le',
  });
  assert.deepEqual(await listed(server, server.client), [made]);
  assert.deepEqual(await namesOf(server), ['a.wav']);
  const url = `${server.origin}/v1/audio/file/${id}`;
  const whole = await fetch(url, { headers: server.client.headers });
  assert.equal(whole.headers.get('content-type'), 'audio/wav');
  assert.equal(whole.headers.get('accept-ranges'), 'bytes');
  assert.ok(Buffer.from(await whole.arrayBuffer()).equals(bytes));
  const part = await fetch(url, { headers: { ...server.client.headers, range: 'bytes=44-99' } });
  assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes 44-99/${bytes.length}`]);
  assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(44, 100)));
  const head = await fetch(url, { method: 'HEAD', headers: server.client.headers });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(bytes.length)]);
  const behind = await fetch(url, { headers: { ...server.client.headers, range: `bytes=${bytes.length}-` } });
  await refused(behind, 416, 'range_not_satisfiable');
  const etag = whole.headers.get('etag') ?? '';
  const known = await fetch(url, { headers: { ...server.client.headers, 'if-none-match': etag } });
  assert.equal(known.status, 304);
});

test('the description may stand in the query, and wins there', async (t) => {
  const server = await startServer(t);
  const both = await upload(server, wav(), 'a.wav', '?file_description=query', { file_description: 'field' });
  assert.equal(both.file_description, 'query');
  assert.equal((await upload(server, wav(), 'b.wav')).file_description, null);
});

test('several codecs, known by what is in them', { skip: hasFfmpeg ? false : 'ffmpeg is not installed' }, async (t) => {
  const server = await startServer(t);
  const cases: [name: string, type: string, codec: RegExp, options?: string[]][] = [
    ['a.mp3', 'audio/mpeg', /^mp3$/],
    ['a.flac', 'audio/flac', /^flac$/],
    ['a.ogg', 'audio/ogg', /^vorbis$/, ['-c:a', 'libvorbis']],
    ['a.opus', 'audio/ogg; codecs=opus', /^opus$/],
    ['a.m4a', 'audio/mp4', /^aac$/],
    ['a.webm', 'audio/webm', /^opus$/, ['-c:a', 'libopus']],
    ['a.wav', 'audio/wav', /^pcm_s16le$/],
    ['a.aac', 'audio/aac', /^aac$/],
  ];
  for (const [name, type, codec, options = []] of cases) {
    await t.test(name, async () => {
      const bytes = await encoded(name, ...options);
      // The name lies; the content does not.
      const made = await upload(server, bytes, `${name}.bin`);
      assert.match(made.codec ?? '', codec);
      assert.equal(made.sample_rate, 48_000);
      assert.equal(made.channels, 2);
      assert.ok(Math.abs((made.duration_seconds ?? 0) - 2) < 0.2, `${made.duration_seconds} s`);
      const reply = await fetch(`${server.origin}/v1/audio/file/${made.id}`, { headers: server.client.headers });
      assert.equal(reply.headers.get('content-type'), type);
      assert.ok(Buffer.from(await reply.arrayBuffer()).equals(bytes));
    });
  }
  await t.test('a film is not audio, a broken file neither', async () => {
    const film = await encoded('a.mp4', '-f', 'lavfi', '-i', 'color=red:size=16x16:duration=2');
    const before = await namesOf(server);
    await refused(
      await post(server, server.client, '/v1/audio/file', formOf('file', film, 'film.m4a')),
      415,
      'unsupported_media_type',
    );
    const m4a = await encoded('a.m4a');
    const cut = m4a.subarray(0, m4a.length / 2);
    await refused(
      await post(server, server.client, '/v1/audio/file', formOf('file', cut, 'cut.m4a')),
      415,
      'unsupported_media_type',
    );
    const flac = (await encoded('a.flac')).subarray(0, 20);
    await refused(
      await post(server, server.client, '/v1/audio/file', formOf('file', flac, 'cut.flac')),
      415,
      'unsupported_media_type',
    );
    assert.deepEqual(await namesOf(server), before);
  });
});

test('what is refused leaves nothing', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '100000' });
  const path = '/v1/audio/file';
  const send = (form: FormData | string, query = ''): Promise<Response> =>
    post(server, server.client, path + query, form);
  await refused(await send(formOf('file', randomBytes(5000), 'a.wav')), 415, 'unsupported_media_type');
  await refused(await send(formOf('file', Buffer.from('<html></html>'), 'a.mp3')), 415, 'unsupported_media_type');
  await refused(await send(formOf('file', Buffer.alloc(0), 'a.wav')), 415, 'unsupported_media_type');
  await refused(await send(formOf('file', wav().subarray(0, 20), 'a.wav')), 415, 'unsupported_media_type');
  await refused(await send(formOf('other', wav(), 'a.wav')), 422, 'validation_failed');
  await refused(await send(formOf('file', wav(), null)), 422, 'validation_failed');
  await refused(await send('text'), 415, 'unsupported_media_type');
  await refused(await send(formOf('file', wav(), 'a\u0001.wav')), 400, 'invalid_name');
  await refused(await send(formOf('file', wav({ seconds: 10 }), 'a.wav')), 413, 'file_too_large');
  await refused(await send(formOf('file', wav(), 'a.wav'), '?overwrite=perhaps'), 400, 'invalid_request');
  const long = 'x'.repeat(1001);
  await refused(await send(formOf('file', wav(), 'a.wav'), `?file_description=${long}`), 400, 'invalid_request');
  await refused(await send(formOf('file', wav(), 'a.wav', { file_description: long })), 400, 'invalid_request');
  const twice = formOf('file', wav(), 'a.wav');
  twice.append('file', new Blob([new Uint8Array(wav())]), 'b.wav');
  await refused(await send(twice), 400, 'invalid_request');
  assert.deepEqual(await namesOf(server), []);
  assert.deepEqual(server.app.engine.usage(server.client.id).bytes, 0);
});

test('a form that is cut off, or has no end, leaves nothing', async (t) => {
  const server = await startServer(t);
  const form = new Response(formOf('file', wav({ seconds: 5 }), 'a.wav', { file_description: 'cut' }));
  const body = Buffer.from(await form.arrayBuffer());
  const type = form.headers.get('content-type') ?? '';
  for (const kept of [1000, body.length - 4]) {
    const wire = await Wire.open(server.port);
    wire.head(
      'POST /v1/audio/file HTTP/1.1',
      'Host: localhost',
      `Authorization: ${server.client.headers.authorization}`,
      `Content-Type: ${type}`,
      `Content-Length: ${kept}`,
    );
    wire.send(body.subarray(0, kept));
    const { status, body: problem } = await wire.response();
    assert.equal(status, 400);
    // The parser may notice the missing end before the part was read to its own.
    assert.match(JSON.parse(problem).code, kept === 1000 ? /^length_mismatch$/ : /^(length_mismatch|invalid_request)$/);
    wire.destroy();
  }
  const wire = await Wire.open(server.port);
  wire.head(
    'POST /v1/audio/file HTTP/1.1',
    'Host: localhost',
    `Authorization: ${server.client.headers.authorization}`,
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
  );
  wire.send(body.subarray(0, 50_000));
  await eventually(() => server.app.engine.gauges().open_uploads === 1, 'the upload');
  wire.destroy();
  await eventually(() => server.app.engine.gauges().open_uploads === 0, 'its end');
  assert.deepEqual(await namesOf(server), []);
});

test('a quota holds for one-shot uploads too', async (t) => {
  const server = await startServer(t, { LADING_QUOTA_BYTES: '20000' });
  await upload(server, wav(), 'a.wav');
  await refused(
    await post(server, server.client, '/v1/audio/file', formOf('file', wav(), 'b.wav')),
    413,
    'quota_exceeded',
  );
  assert.deepEqual(await namesOf(server), ['a.wav']);
});

test('the same name again is kept beside the first, or replaces the file with what was said of it', async (t) => {
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

test('audio that came in chunks is listed too, what only claims to be audio is not', async (t) => {
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

test('a list comes in pages', async (t) => {
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

test('nobody sees the audio of somebody else; a deleted file takes its description along; a restart keeps the rest', async (t) => {
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

test('POST /api/upload takes WAV files, and says no in its own words', async (t) => {
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

test('an MP3 named .wav is no WAV', { skip: hasFfmpeg ? false : 'ffmpeg is not installed' }, async (t) => {
  const server = await startServer(t);
  const reply = await post(server, server.client, '/api/upload', formOf('audio_file', await encoded('a.mp3'), 'a.wav'));
  assert.equal(reply.status, 400);
  assert.deepEqual(await namesOf(server), []);
});
