/** tus: creation, deferred lengths, expiry, termination and media types. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { clockOf } from '../support/product/clock.ts';
import { startServer } from '../support/product/server.ts';
import {
  ask,
  begin,
  download,
  type Fields,
  hanging,
  metadata,
  offsetOf,
  receiving,
  send,
  TYPE,
  tusHeaders,
} from '../support/wire/tus.ts';

test('T15 T25 creation is 201 with Upload-Expires and Location, a path or an absolute URL', async (t) => {
  const server = await startServer(t);
  const reply = await ask(server, `${server.origin}/files`, 'POST', { 'upload-length': '3' });
  assert.equal(reply.status, 201);
  assert.match(reply.headers.get('location') ?? '', /^\/files\/[0-9a-f]{32}\.[\w-]{32}$/);
  assert.ok(Date.parse(reply.headers.get('upload-expires') ?? '') > Date.now());
  const patched = await send(
    server,
    new URL(reply.headers.get('location') ?? '', server.origin).href,
    0,
    Buffer.from('a'),
  );
  assert.ok(Date.parse(patched.headers.get('upload-expires') ?? '') > Date.now());
  const forwarded = { 'upload-length': '3', 'x-forwarded-host': 'files.example.org', 'x-forwarded-proto': 'https' };
  for (const [trusted, expected] of [
    ['loopback', /^https:\/\/files\.example\.org\/files\//],
    ['none', /^http:\/\/127\.0\.0\.1:\d+\/files\//],
  ] as const) {
    const proxied = await startServer(t, { LADING_UPLOAD_ABSOLUTE: 'on', LADING_TRUST_PROXY: trusted });
    const standard = { 'upload-length': '3', forwarded: 'for="[2001:db8::1]:99";proto=https;host="files.example.org"' };
    for (const fields of [forwarded, standard]) {
      const created = await ask(proxied, `${proxied.origin}/files/`, 'POST', fields);
      assert.match(created.headers.get('location') ?? '', expected);
    }
    const both = { ...standard, 'x-forwarded-for': '192.0.2.1' };
    const doubtful = await ask(proxied, `${proxied.origin}/files/`, 'POST', both);
    assert.match(doubtful.headers.get('location') ?? '', /^http:\/\/127/, 'a Forwarded that may be made up');
  }
});

test('T16 a creation needs a length or Upload-Defer-Length', async (t) => {
  const server = await startServer(t);
  const url = `${server.origin}/files/`;
  const wrong = [{}, { 'upload-length': '3', 'upload-defer-length': '1' }, { 'upload-defer-length': '2' }];
  for (const fields of wrong) assert.equal((await ask(server, url, 'POST', fields as Fields)).status, 400);
});

test('T17 an upload larger than Tus-Max-Size is 413', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  assert.equal((await ask(server, `${server.origin}/files/`, 'POST', { 'upload-length': '1048577' })).status, 413);
});

test('T18 an empty upload is complete at once', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '0', 'upload-metadata': metadata({ filename: 'empty' }) });
  assert.equal(await offsetOf(server, url), 0);
  assert.equal((await download(server, 'empty')).length, 0);
});

test('T19 Upload-Metadata is returned unchanged, and 400 if it is malformed', async (t) => {
  const server = await startServer(t);
  const said = `filename ${Buffer.from('ä.txt').toString('base64')},is_confidential`;
  const url = await begin(server, { 'upload-length': '3', 'upload-metadata': said });
  assert.equal((await ask(server, url)).headers.get('upload-metadata'), said);
  const wrong = ['a b c', 'a YQ==,a YQ==', 'a ###', ',', 'filename YS8uLi9i', 'a YWFhY'];
  for (const value of wrong) {
    const reply = await ask(server, `${server.origin}/files/`, 'POST', {
      'upload-length': '3',
      'upload-metadata': value,
    });
    assert.equal(reply.status, 400, value);
  }
});

test('T20 the creation may have the first bytes, also after 100 Continue', async (t) => {
  const server = await startServer(t);
  const fields = { 'upload-length': '5', 'content-type': TYPE, 'upload-metadata': metadata({ filename: 'c' }) };
  const reply = await ask(server, `${server.origin}/files/`, 'POST', fields, Buffer.from('ab'));
  assert.equal(reply.status, 201);
  assert.equal(reply.headers.get('upload-offset'), '2');
  const url = new URL(reply.headers.get('location') ?? '', server.origin).href;
  assert.equal((await send(server, url, 2, Buffer.from('cde'))).status, 204);
  assert.equal((await download(server, 'c')).toString(), 'abcde');
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (bytes) => {
    answer += bytes.toString();
    if (answer.includes('100 Continue\r\n\r\n') && !answer.includes('201')) socket.write('xyz');
  });
  const lines = Object.entries(
    tusHeaders(server, { ...fields, host: 'x', expect: '100-continue', 'content-length': '3' }),
  );
  socket.write(`POST /files/ HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  await eventually(() => /201 Created/.test(answer), 'the upload is begun');
  assert.match(answer, /upload-offset: 3/i);
  socket.destroy();
});

test('T22 T23 T24 a deferred length may be declared once', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-defer-length': '1', 'upload-metadata': metadata({ filename: 'd' }) });
  const before = await ask(server, url);
  assert.equal(before.headers.get('upload-defer-length'), '1');
  assert.equal(before.headers.get('upload-length'), null);
  assert.equal((await send(server, url, 0, Buffer.from('abc'))).status, 204);
  assert.equal((await send(server, url, 3, Buffer.from('x'), { 'upload-length': '2' })).status, 400);
  assert.equal((await send(server, url, 3, Buffer.alloc(0), { 'upload-length': '2' })).status, 400);
  assert.equal((await send(server, url, 3, Buffer.from('d'), { 'upload-length': '5' })).status, 204);
  const after = await ask(server, url);
  assert.equal(after.headers.get('upload-length'), '5');
  assert.equal(after.headers.get('upload-defer-length'), null);
  assert.equal((await send(server, url, 4, Buffer.from('e'), { 'upload-length': '6' })).status, 400);
  assert.equal((await send(server, url, 4, Buffer.from('e'), { 'upload-length': '5' })).status, 204);
  assert.equal((await download(server, 'd')).toString(), 'abcde');
});

test('T26 a parked upload continues, an expired one is 404, and Upload-Expires has the date', async (t) => {
  const began = Math.floor(Date.now() / 1000) * 1000;
  let now = began;
  const settings = { LADING_STALE_SECONDS: '60', LADING_STALE_REMOVE_DAYS: '1', LADING_UPLOAD_RIGHT: 'on' };
  const server = await startServer(t, settings, { clock: clockOf(() => now) });
  const url = await begin(server, { 'upload-length': '3' });
  const expires = async () => Date.parse((await ask(server, url)).headers.get('upload-expires') ?? '') - began;
  now += 60_000;
  assert.equal(await expires(), 86_460_000);
  assert.equal((await server.app.engine.sweep()).parked, 1);
  assert.equal(await expires(), 86_460_000);
  now += 86_399_000;
  assert.equal((await server.app.engine.sweep()).removed, 0);
  assert.equal((await send(server, url, 0, Buffer.from('a'))).status, 204);
  assert.equal(await expires(), 86_459_000 + 86_460_000);
  now += 60_000;
  await server.app.engine.sweep();
  now += 86_400_000;
  assert.equal((await server.app.engine.sweep()).removed, 1);
  assert.equal((await ask(server, url)).status, 404);
});

test('without expiry of parked uploads there is no Upload-Expires', async (t) => {
  const server = await startServer(t, { LADING_STALE_REMOVE_DAYS: '0' });
  const url = await begin(server, { 'upload-length': '3' });
  assert.equal((await ask(server, url)).headers.get('upload-expires'), null);
});

test('T34 DELETE ends a running PATCH and frees its memory', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '9', 'upload-metadata': metadata({ filename: 'e' }) });
  const socket = await hanging(server, url, 0, Buffer.from('abc'), 9);
  const ended = new Promise((resolve) => socket.on('close', resolve));
  await receiving(server);
  assert.equal((await ask(server, url, 'DELETE')).status, 204);
  socket.write('defghi');
  await ended;
  assert.equal((await ask(server, url)).status, 404);
  assert.equal(server.app.engine.usage(`default/${server.client.id}`).bytes, 0);
});

test('an upload continues after a restart and, by its address alone, after its token expired', async (t) => {
  const server = await startServer(t, { LADING_UPLOAD_RIGHT: 'on' });
  const url = await begin(server, { 'upload-length': '5', 'upload-metadata': metadata({ filename: 'f' }) });
  const expired = { authorization: 'Bearer no-longer-good' };
  assert.equal((await send(server, url, 0, Buffer.from('a'), expired)).status, 204);
  const bare = { 'tus-resumable': '1.0.0', 'content-type': TYPE, 'upload-offset': '1' };
  assert.equal((await fetch(url, { method: 'PATCH', headers: bare, body: 'bc' })).status, 204);
  assert.equal((await fetch(url, { method: 'HEAD', headers: bare })).headers.get('upload-offset'), '3');
  assert.equal(
    (await fetch(`${server.origin}/files/`, { method: 'POST', headers: { ...bare, 'upload-length': '1' } })).status,
    401,
  );
  await server.close();
  const same = await startServer(t, { LADING_UPLOAD_RIGHT: 'on' }, {}, server.dataDir);
  const again = await fetch(`${same.origin}${new URL(url).pathname}`, { method: 'HEAD', headers: bare });
  assert.equal(again.headers.get('upload-offset'), '3', 'after a restart');
  await same.close();
  const next = await startServer(t, { LADING_UPLOAD_RIGHT: 'off' }, {}, server.dataDir);
  const moved = `${next.origin}${new URL(url).pathname}`;
  assert.equal((await fetch(moved, { method: 'HEAD', headers: bare })).status, 401);
});

test('an invalid filetype is ignored', async (t) => {
  const server = await startServer(t);
  for (const filetype of ['nonsense', 'text/', 'image', '\u0000', 'a/b\r\nX: y', 'x'.repeat(300)]) {
    const pairs = metadata({ filename: 'a.txt', filetype });
    const url = await begin(
      server,
      { 'upload-length': '3', 'upload-metadata': pairs, 'content-type': TYPE },
      Buffer.from('abc'),
    );
    const reply = await fetch(url, { headers: server.client.headers });
    assert.equal(reply.headers.get('content-type'), 'application/octet-stream', filetype);
  }
});

test('the media type of the bytes is compared without its parameters', async (t) => {
  const server = await startServer(t);
  for (const type of [`${TYPE};`, `${TYPE};\tcharset=x ; `, TYPE.toUpperCase()]) {
    const url = await begin(server, { 'upload-length': '6', 'content-type': type }, Buffer.from('abc'));
    assert.equal(await offsetOf(server, url), 3, type);
    assert.equal((await send(server, url, 3, Buffer.from('def'), { 'content-type': type })).status, 204, type);
  }
});
