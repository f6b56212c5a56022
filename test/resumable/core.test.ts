/**
 * Resumable uploads for HTTP (draft-ietf-httpbis-resumable-upload) over real sockets. The title of every test begins with the numbers of the
 * requirements that it checks.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer } from '../support/product/server.ts';
import { append, ask, begin, content, type Fields, hanging, offsetOf, PARTIAL } from '../support/wire/resumable.ts';
import { DRAFT, digest, disposition, receiving, TYPES } from './core-setup.ts';

test('I1 a request without Upload-Complete stores the whole file, or nothing if it breaks', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(3_000_000);
  const made = await ask(server, 'PUT', '/api/files/content/dir/a.bin', { body: bytes, headers: DRAFT });
  assert.equal(made.status, 201);
  assert.deepEqual(made.interim, []);
  assert.equal(made.headers.location, undefined);
  assert.equal((JSON.parse(made.body) as { status: string }).status, 'complete');
  assert.ok((await content(server, 'dir/a.bin')).equals(bytes));
  const again = await ask(server, 'PUT', '/api/files/content/dir%2Fa.bin', { body: 'other', chunked: true });
  assert.equal(again.status, 200);
  assert.equal((await content(server, 'dir/a.bin')).toString(), 'other');
  const { socket } = await hanging(server, 'PUT', '/api/files/content/dir/a.bin', {}, Buffer.from('new'), 9);
  await receiving(server);
  socket.destroySoon();
  await eventually(() => server.app.engine.gauges().receiving === 0, 'the request is over');
  assert.equal((await content(server, 'dir/a.bin')).toString(), 'other');
  assert.equal((await ask(server, 'POST', '/api/files/content/dir/a.bin', { body: 'x' })).status, 409);
  assert.equal((await ask(server, 'POST', '/api/files/content/b', { body: 'x' })).status, 201);
});

test('I2 I4 I10 a client that names a version gets a 104 with the address, and later ones with progress', async (t) => {
  const server = await startServer(t);
  const { socket, reply } = await hanging(
    server,
    'POST',
    '/api/uploads',
    { ...DRAFT, 'upload-complete': '?1' },
    Buffer.from('abc'),
    1_000_000,
  );
  await eventually(() => reply().includes('\r\n\r\n'), 'the interim response');
  assert.match(reply(), /^HTTP\/1\.1 104 Upload Resumption Supported\r\n/);
  assert.match(reply(), /\r\nupload-draft-interop-version: 8\r\n/);
  assert.match(reply(), /\r\nlocation: \/api\/uploads\/[0-9a-f]{32}\.[\w-]{32}\r\n/);
  assert.match(reply(), /\r\nupload-limit: max-size=\d+, min-size=0, max-age=2678400\r\n/);
  const [creation = ''] = reply().split('\r\n\r\n');
  // Bytes are committed at least every two seconds, even if few arrived.
  const drip = setInterval(() => socket.write('x'), 200);
  await eventually(() => reply().split('HTTP/1.1 104').length > 2, 'a report of the progress');
  clearInterval(drip);
  const second = reply().slice(creation.length + 4);
  assert.match(second, /^HTTP\/1\.1 104 /);
  assert.match(second, /\r\nupload-offset: \d+\r\n/);
  assert.match(second, /\r\nupload-draft-interop-version: 8\r\n/);
  assert.doesNotMatch(second, /location/i);
  socket.destroy();
});

test('I3 no 104 is sent without a version or with an unsupported one', async (t) => {
  const server = await startServer(t);
  for (const version of [{}, { 'upload-draft-interop-version': '99' }, { 'upload-draft-interop-version': '8.5' }]) {
    const reply = await ask(server, 'POST', '/api/uploads', {
      headers: { ...version, 'upload-complete': '?0' } as Fields,
    });
    assert.equal(reply.status, 201);
    assert.deepEqual(reply.interim, []);
  }
});

test('I5 100 Continue is sent, also after a 104', async (t) => {
  const server = await startServer(t);
  const headers = { ...DRAFT, ...disposition('e'), 'upload-complete': '?1', expect: '100-continue' };
  const reply = await ask(server, 'POST', '/api/uploads', { headers, body: 'hello' });
  assert.deepEqual(
    reply.interim.map(({ status }) => status),
    [104, 100],
  );
  assert.equal(reply.status, 201);
  assert.equal((await content(server, 'e')).toString(), 'hello');
});

test('I6 I7 I9 ?0 creates an upload, with or without bytes, and all messages agree on its state', async (t) => {
  const server = await startServer(t);
  for (const body of ['', 'abc']) {
    const reply = await ask(server, 'POST', '/api/uploads', { headers: { ...DRAFT, 'upload-complete': '?0' }, body });
    assert.equal(reply.status, 201);
    assert.equal(reply.headers['upload-complete'], '?0');
    assert.match(String(reply.headers['upload-limit']), /max-size=\d+/);
    assert.equal(reply.interim[0]?.status, 104);
    assert.equal(reply.headers.location, reply.interim[0]?.headers.location);
    assert.equal(await offsetOf(server, reply.headers.location ?? ''), body.length);
  }
});

test('I8 I9 I19 I20 ?1 completes the file, and the answer is its status, also for an empty file', async (t) => {
  const server = await startServer(t);
  for (const [name, body] of [
    ['one', 'abc'],
    ['none', ''],
  ] as const) {
    const headers = { ...DRAFT, ...disposition(name), 'upload-complete': '?1' };
    const reply = await ask(server, 'POST', '/api/uploads', { headers, body });
    assert.equal(reply.status, 201);
    assert.equal(reply.headers['upload-complete'], '?1');
    assert.equal((JSON.parse(reply.body) as { filename: string }).filename, name);
    assert.equal((await content(server, name)).toString(), body);
  }
  const url = await begin(server, 'abc', disposition('two'));
  const done = await append(server, url, 3, '', '?1');
  assert.equal(done.status, 200);
  assert.equal(done.headers['upload-complete'], '?1');
  assert.equal((JSON.parse(done.body) as { etag: string }).etag, done.headers.etag);
  assert.equal((await content(server, 'two')).toString(), 'abc');
  // The refusal of a completely received file is also an answer of the file.
  const wrong = await begin(server, 'abc', { ...disposition('three'), 'repr-digest': digest('abd') });
  const refused = await append(server, wrong, 3, '', '?1');
  assert.equal(refused.status, 400);
  assert.equal(refused.headers['upload-complete'], '?1');
});

test('I11 I12 Upload-Length or the last content declares the length, and a conflict is refused', async (t) => {
  const server = await startServer(t);
  const lengthOf = async (url: string) => (await ask(server, 'HEAD', url)).headers['upload-length'];
  assert.equal(await lengthOf(await begin(server, 'ab')), undefined);
  const said = await begin(server, 'ab', { 'upload-length': '5' });
  assert.equal(await lengthOf(said), '5');
  const { socket, reply } = await hanging(
    server,
    'POST',
    '/api/uploads',
    { ...DRAFT, 'upload-complete': '?1' },
    Buffer.from('abc'),
    10,
  );
  await eventually(() => reply().includes('location: '), 'its address is told');
  const [, path = ''] = /location: (\S+)/.exec(reply()) ?? [];
  await receiving(server);
  socket.destroySoon();
  await eventually(() => server.app.engine.gauges().receiving === 0, 'the request is over');
  assert.equal(await lengthOf(path), '10');
  const inconsistent = [
    await ask(server, 'POST', '/api/uploads', {
      headers: { 'upload-complete': '?1', 'upload-length': '4' },
      body: 'abc',
    }),
    await ask(server, 'POST', '/api/uploads', {
      headers: { 'upload-complete': '?0', 'upload-length': '2' },
      body: 'abc',
    }),
    await append(server, said, 2, 'c', '?0', { 'upload-length': '6' }),
    await append(server, said, 2, 'cd', '?1'),
    await append(server, said, 2, 'cde', '?1', { 'upload-length': '9' }),
  ];
  for (const { status, headers, body } of inconsistent) {
    assert.equal(status, 400, body);
    assert.equal(headers['upload-complete'], '?0');
    assert.equal((JSON.parse(body) as { type: string }).type, `${TYPES}#inconsistent-upload-length`);
  }
  const short = { 'content-type': PARTIAL, 'upload-offset': '2', 'upload-complete': '?1' };
  const ends = await ask(server, 'PATCH', said, { headers: short, body: 'cd', chunked: true });
  assert.equal(ends.status, 400, 'the bytes themselves show it');
  assert.equal(await offsetOf(server, said), 4);
  assert.equal((await append(server, said, 4, 'e', '?1')).status, 200);
});

test('I13 a file that is too large is 413 with Upload-Limit and creates no upload', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  const headers = { ...DRAFT, 'upload-complete': '?0', 'upload-length': '1048577' };
  const reply = await ask(server, 'POST', '/api/uploads', { headers });
  assert.equal(reply.status, 413);
  assert.equal(reply.headers['upload-limit'], 'max-size=1048576, min-size=0');
  assert.equal(reply.headers.location, undefined);
  assert.deepEqual(reply.interim, []);
  assert.equal(server.app.engine.gauges().open_uploads, 0);
});

test('I14 the upload keeps the media type and the name of its creation, without a path', async (t) => {
  const server = await startServer(t);
  for (const [field, name] of [
    [`inline; filename="a.flac"`, 'a.flac'],
    [`attachment; filename="../../etc/b.flac"`, 'b.flac'],
    [`attachment; filename="C:\\\\x\\\\c.flac"`, 'c.flac'],
    [`attachment; filename="d.flac"; filename*=UTF-8''%C3%A4%0D%0A.flac`, 'ä.flac'],
  ] as const) {
    const headers = { 'content-disposition': field, 'content-type': 'audio/flac', 'upload-complete': '?1' };
    const reply = await ask(server, 'POST', '/api/uploads', { headers, body: 'x' });
    const { filename, content_type: type } = JSON.parse(reply.body) as { filename: string; content_type: string };
    assert.deepEqual([filename, type], [name, 'audio/flac'], field);
  }
  for (const field of ['attachment', 'attachment; filename=".."', '%%%']) {
    const headers = { 'content-disposition': field, 'upload-complete': '?1' };
    const reply = await ask(server, 'POST', '/api/uploads', { headers, body: 'x' });
    assert.match((JSON.parse(reply.body) as { filename: string }).filename, /^upload-[\w-]+/);
  }
  const coded = { 'content-encoding': 'gzip', 'upload-complete': '?1' };
  assert.equal((await ask(server, 'POST', '/api/uploads', { headers: coded, body: 'x' })).status, 415);
});
