/** Audio files over HTTP: accepted formats, descriptions, and refusals that leave nothing. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { encoded, hasFfmpeg, wav } from '../../support/audio.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { Wire } from '../../support/wire/wire.ts';
import { formOf, listed, namesOf, post, refused, upload } from './audio-setup.ts';

test('a WAV file is stored, described, listed and read by ranges', async (t) => {
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

test('the description in the query takes precedence over that in the form', async (t) => {
  const server = await startServer(t);
  const both = await upload(server, wav(), 'a.wav', '?file_description=query', { file_description: 'field' });
  assert.equal(both.file_description, 'query');
  assert.equal((await upload(server, wav(), 'b.wav')).file_description, null);
});

test('the codec is detected from the content', { skip: hasFfmpeg ? false : 'ffmpeg is not installed' }, async (t) => {
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
      // The name has the wrong type.
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

test('a refused upload leaves nothing', async (t) => {
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

test('a truncated form leaves nothing', async (t) => {
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
    // The parser may notice the missing end of the form before the part is read.
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

test('a quota applies to one-shot uploads', async (t) => {
  const server = await startServer(t, { LADING_QUOTA_BYTES: '20000' });
  await upload(server, wav(), 'a.wav');
  await refused(
    await post(server, server.client, '/v1/audio/file', formOf('file', wav(), 'b.wav')),
    413,
    'quota_exceeded',
  );
  assert.deepEqual(await namesOf(server), ['a.wav']);
});
