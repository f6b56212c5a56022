/**
 * Resumable uploads for HTTP (draft-ietf-httpbis-resumable-upload) over real sockets. Every test carries the number of its line in the
 * list of what the draft demands.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { clockOf } from '../support/product/clock.ts';
import { startServer, type TestServer } from '../support/product/server.ts';
import { append, ask, begin, content, type Fields, hanging, offsetOf, PARTIAL } from '../support/wire/resumable.ts';

const DRAFT = { 'upload-draft-interop-version': '8' };
const TYPES = 'https://iana.org/assignments/http-problem-types';

const digest = (bytes: Uint8Array | string, algorithm = 'sha256'): string =>
  `${algorithm.replace('sha', 'sha-')}=:${createHash(algorithm).update(bytes).digest('base64')}:`;

const disposition = (name: string): Fields => ({ 'content-disposition': `attachment; filename="${name}"` });

async function receiving({ app }: TestServer): Promise<void> {
  await eventually(() => app.engine.gauges().receiving === 1, 'the request runs');
}

test('I1 without Upload-Complete a request stores a file at once, and nothing of it if it breaks', async (t) => {
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

test('I2 I4 I10 a client that names a version gets 104 with the address of the upload, and progress without it', async (t) => {
  const server = await startServer(t);
  const { socket, heard } = await hanging(
    server,
    'POST',
    '/api/uploads',
    { ...DRAFT, 'upload-complete': '?1' },
    Buffer.from('abc'),
    1_000_000,
  );
  await eventually(() => heard().includes('\r\n\r\n'), 'the interim response is there');
  assert.match(heard(), /^HTTP\/1\.1 104 Upload Resumption Supported\r\n/);
  assert.match(heard(), /\r\nupload-draft-interop-version: 8\r\n/);
  assert.match(heard(), /\r\nlocation: \/api\/uploads\/[0-9a-f]{32}\.[\w-]{32}\r\n/);
  assert.match(heard(), /\r\nupload-limit: max-size=\d+, min-size=0, max-age=2678400\r\n/);
  const [creation = ''] = heard().split('\r\n\r\n');
  // Committed at least every two seconds, however little came.
  const drip = setInterval(() => socket.write('x'), 200);
  await eventually(() => heard().split('HTTP/1.1 104').length > 2, 'progress is told');
  clearInterval(drip);
  const second = heard().slice(creation.length + 4);
  assert.match(second, /^HTTP\/1\.1 104 /);
  assert.match(second, /\r\nupload-offset: \d+\r\n/);
  assert.match(second, /\r\nupload-draft-interop-version: 8\r\n/);
  assert.doesNotMatch(second, /location/i);
  socket.destroy();
});

test('I3 no 104 without a version, or with one that is not spoken', async (t) => {
  const server = await startServer(t);
  for (const version of [{}, { 'upload-draft-interop-version': '99' }, { 'upload-draft-interop-version': '8.5' }]) {
    const heard = await ask(server, 'POST', '/api/uploads', {
      headers: { ...version, 'upload-complete': '?0' } as Fields,
    });
    assert.equal(heard.status, 201);
    assert.deepEqual(heard.interim, []);
  }
});

test('I5 100 Continue comes, also after a 104', async (t) => {
  const server = await startServer(t);
  const headers = { ...DRAFT, ...disposition('e'), 'upload-complete': '?1', expect: '100-continue' };
  const heard = await ask(server, 'POST', '/api/uploads', { headers, body: 'hello' });
  assert.deepEqual(
    heard.interim.map(({ status }) => status),
    [104, 100],
  );
  assert.equal(heard.status, 201);
  assert.equal((await content(server, 'e')).toString(), 'hello');
});

test('I6 I7 I9 with ?0 an upload is made, with bytes or without, and told in every message alike', async (t) => {
  const server = await startServer(t);
  for (const body of ['', 'abc']) {
    const heard = await ask(server, 'POST', '/api/uploads', { headers: { ...DRAFT, 'upload-complete': '?0' }, body });
    assert.equal(heard.status, 201);
    assert.equal(heard.headers['upload-complete'], '?0');
    assert.match(String(heard.headers['upload-limit']), /max-size=\d+/);
    assert.equal(heard.interim[0]?.status, 104);
    assert.equal(heard.headers.location, heard.interim[0]?.headers.location);
    assert.equal(await offsetOf(server, heard.headers.location ?? ''), body.length);
  }
});

test('I8 I9 I19 I20 with ?1 the file is complete and answers itself, an empty one too', async (t) => {
  const server = await startServer(t);
  for (const [name, body] of [
    ['one', 'abc'],
    ['none', ''],
  ] as const) {
    const headers = { ...DRAFT, ...disposition(name), 'upload-complete': '?1' };
    const heard = await ask(server, 'POST', '/api/uploads', { headers, body });
    assert.equal(heard.status, 201);
    assert.equal(heard.headers['upload-complete'], '?1');
    assert.equal((JSON.parse(heard.body) as { filename: string }).filename, name);
    assert.equal((await content(server, name)).toString(), body);
  }
  const url = await begin(server, 'abc', disposition('two'));
  const done = await append(server, url, 3, '', '?1');
  assert.equal(done.status, 200);
  assert.equal(done.headers['upload-complete'], '?1');
  assert.equal((JSON.parse(done.body) as { etag: string }).etag, done.headers.etag);
  assert.equal((await content(server, 'two')).toString(), 'abc');
  // A file that is refused once it is there is an answer of the file, too.
  const wrong = await begin(server, 'abc', { ...disposition('three'), 'repr-digest': digest('abd') });
  const refused = await append(server, wrong, 3, '', '?1');
  assert.equal(refused.status, 400);
  assert.equal(refused.headers['upload-complete'], '?1');
});

test('I11 the length is known by Upload-Length, or by the last content; I12 two that differ are refused', async (t) => {
  const server = await startServer(t);
  const lengthOf = async (url: string) => (await ask(server, 'HEAD', url)).headers['upload-length'];
  assert.equal(await lengthOf(await begin(server, 'ab')), undefined);
  const said = await begin(server, 'ab', { 'upload-length': '5' });
  assert.equal(await lengthOf(said), '5');
  const { socket, heard } = await hanging(
    server,
    'POST',
    '/api/uploads',
    { ...DRAFT, 'upload-complete': '?1' },
    Buffer.from('abc'),
    10,
  );
  await eventually(() => heard().includes('location: '), 'its address is told');
  const [, path = ''] = /location: (\S+)/.exec(heard()) ?? [];
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

test('I13 longer than a file may be is 413 with Upload-Limit, and nothing is made', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  const headers = { ...DRAFT, 'upload-complete': '?0', 'upload-length': '1048577' };
  const heard = await ask(server, 'POST', '/api/uploads', { headers });
  assert.equal(heard.status, 413);
  assert.equal(heard.headers['upload-limit'], 'max-size=1048576, min-size=0');
  assert.equal(heard.headers.location, undefined);
  assert.deepEqual(heard.interim, []);
  assert.equal(server.app.engine.gauges().open_uploads, 0);
});

test('I14 the media type and the name of the creation are kept, the name without a path', async (t) => {
  const server = await startServer(t);
  for (const [field, name] of [
    [`inline; filename="a.flac"`, 'a.flac'],
    [`attachment; filename="../../etc/b.flac"`, 'b.flac'],
    [`attachment; filename="C:\\\\x\\\\c.flac"`, 'c.flac'],
    [`attachment; filename="d.flac"; filename*=UTF-8''%C3%A4%0D%0A.flac`, 'ä.flac'],
  ] as const) {
    const headers = { 'content-disposition': field, 'content-type': 'audio/flac', 'upload-complete': '?1' };
    const heard = await ask(server, 'POST', '/api/uploads', { headers, body: 'x' });
    const { filename, content_type: type } = JSON.parse(heard.body) as { filename: string; content_type: string };
    assert.deepEqual([filename, type], [name, 'audio/flac'], field);
  }
  for (const field of ['attachment', 'attachment; filename=".."', '%%%']) {
    const headers = { 'content-disposition': field, 'upload-complete': '?1' };
    const heard = await ask(server, 'POST', '/api/uploads', { headers, body: 'x' });
    assert.match((JSON.parse(heard.body) as { filename: string }).filename, /^upload-[\w-]+/);
  }
  const coded = { 'content-encoding': 'gzip', 'upload-complete': '?1' };
  assert.equal((await ask(server, 'POST', '/api/uploads', { headers: coded, body: 'x' })).status, 415);
});

test('I15 I16 I17 I33 a broken request keeps what arrived; HEAD and GET say it at once, also while the old one seems to live', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(500_000);
  const fields = { ...DRAFT, ...disposition('b'), 'upload-complete': '?1' };
  const first = await hanging(server, 'POST', '/api/uploads', fields, bytes.subarray(0, 200_000), bytes.length);
  await eventually(() => first.heard().includes('location: '), 'its address is told');
  await receiving(server);
  const [, url = ''] = /location: (\S+)/.exec(first.heard()) ?? [];
  first.socket.destroySoon();
  await eventually(async () => (await offsetOf(server, url)) === 200_000, 'all that was sent is kept');
  const part = { 'content-type': PARTIAL, 'upload-offset': '200000', 'upload-complete': '?1' };
  const second = await hanging(server, 'PATCH', url, part, bytes.subarray(200_000, 300_000), 300_000);
  const ended = new Promise((resolve) => second.socket.on('close', resolve));
  await receiving(server);
  const { status, headers } = await ask(server, 'GET', url);
  await ended;
  assert.equal(status, 204);
  assert.equal(headers['upload-complete'], '?0');
  assert.equal(headers['upload-length'], '500000');
  assert.equal(headers['cache-control'], 'no-store');
  assert.match(String(headers['upload-limit']), /^max-size=\d+, min-size=0, max-age=\d+$/);
  const offset = Number(headers['upload-offset']);
  assert.equal((await append(server, url, offset, bytes.subarray(offset), '?1')).status, 200);
  assert.ok((await content(server, 'b')).equals(bytes));
  const after = await ask(server, 'HEAD', url);
  assert.deepEqual([after.headers['upload-offset'], after.headers['upload-complete']], ['500000', '?1']);
});

test('I18 I21 I23 I24 appending adds to the offset; another one is 409 with the right one; the end must be told', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, '', { ...disposition('c'), 'upload-length': '5' });
  const heard = await append(server, url, 0, 'abc', '?0');
  assert.equal(heard.status, 204);
  assert.equal(heard.headers['upload-complete'], '?0');
  assert.equal(heard.headers['upload-offset'], '3');
  for (const offset of [0, 4]) {
    const wrong = await append(server, url, offset, 'd', '?0');
    assert.equal(wrong.status, 409);
    assert.equal(wrong.headers['upload-complete'], '?0');
    assert.equal(wrong.headers['upload-offset'], '3');
    const problem = JSON.parse(wrong.body) as Record<string, unknown>;
    assert.equal(problem.type, `${TYPES}#mismatching-upload-offset`);
    assert.deepEqual([problem['expected-offset'], problem['provided-offset']], [3, offset]);
  }
  assert.equal((await append(server, url, 3, 'de', '?0')).status, 204);
  const { headers } = await ask(server, 'HEAD', url);
  assert.deepEqual([headers['upload-offset'], headers['upload-complete']], ['5', '?0']);
  const status = await fetch(`${server.origin}/api/files/status/c`, { headers: server.client.headers });
  assert.notEqual(((await status.json()) as { status: string }).status, 'complete');
  assert.equal((await append(server, url, 5, '', '?1')).status, 200);
  assert.equal((await content(server, 'c')).toString(), 'abcde');
});

test('I22 bytes past the length end the upload for good, in whatever way they come', async (t) => {
  const server = await startServer(t);
  const known = { 'upload-length': '4' };
  const ways: [Fields, Fields, { chunked?: boolean }][] = [
    [known, { 'upload-complete': '?0' }, {}],
    [known, { 'upload-complete': '?1' }, {}],
    [known, { 'upload-complete': '?0' }, { chunked: true }],
    [known, { 'upload-complete': '?1' }, { chunked: true }],
    [known, { 'upload-complete': '?1', ...known }, {}],
    [{}, { 'upload-complete': '?0', ...known }, {}],
    [{}, { 'upload-complete': '?0', ...known }, { chunked: true }],
    [{}, { 'upload-complete': '?1', ...known }, {}],
  ];
  for (const [first, fields, how] of ways) {
    const url = await begin(server, 'ab', first);
    const headers = { ...DRAFT, 'content-type': PARTIAL, 'upload-offset': '2', ...fields };
    const sent = await ask(server, 'PATCH', url, { headers, body: 'cdef', ...how });
    const shown = `${JSON.stringify([first, fields, how])} ${sent.body}`;
    assert.equal(sent.status, 400, shown);
    assert.equal(sent.headers['upload-complete'], '?0', shown);
    assert.equal((await ask(server, 'HEAD', url)).status, 404, shown);
    assert.equal((await append(server, url, 2, 'cd', '?1')).status, 404, shown);
  }
});

test('I22 a creation with more bytes than its length leaves no upload, whether its address was told or not', async (t) => {
  const server = await startServer(t);
  for (const version of [DRAFT, {}] as Fields[]) {
    for (const complete of ['?0', '?1']) {
      const headers = { ...version, 'upload-complete': complete, 'upload-length': '4' };
      const sent = await ask(server, 'POST', '/api/uploads', { headers, body: 'abcdef', chunked: true });
      assert.equal(sent.status, 400, sent.body);
      const told = sent.interim.find(({ headers: { location } }) => location !== undefined)?.headers.location;
      assert.equal(told !== undefined, version === DRAFT);
      if (told !== undefined) assert.equal((await ask(server, 'HEAD', told)).status, 404);
    }
  }
  const list = await ask(server, 'GET', '/api/files');
  assert.deepEqual((JSON.parse(list.body) as { files: unknown[] }).files, []);
});

test('I22 a length that the upload does not reach is no reason to end it', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab', { 'upload-length': '9' });
  assert.equal((await append(server, url, 2, 'cd', '?0', { 'upload-length': '8' })).status, 400);
  assert.equal((await append(server, url, 2, 'cd', '?1')).status, 400);
  assert.equal(await offsetOf(server, url), 2);
});

test('I25 the last answer may be asked for again; other bytes after the end are refused', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab', disposition('d'));
  const first = await append(server, url, 2, 'c', '?1');
  const again = await append(server, url, 3, '', '?1');
  assert.equal(again.status, 200);
  assert.equal(again.headers['upload-complete'], '?1');
  assert.equal(again.body, first.body);
  const more = await append(server, url, 2, 'c', '?1');
  assert.equal(more.status, 409);
  assert.equal(more.headers['upload-complete'], '?0');
  assert.equal((await append(server, url, 3, 'd', '?1')).status, 400);
  assert.equal((await content(server, 'd')).toString(), 'abc');
});

test('I26 another media type is 415 with Accept-Patch, and so is OPTIONS', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab');
  const heard = await append(server, url, 2, 'c', '?0', { 'content-type': 'text/plain' });
  assert.equal(heard.status, 415);
  assert.equal(heard.headers['accept-patch'], PARTIAL);
  assert.equal((await ask(server, 'OPTIONS', url)).headers['accept-patch'], PARTIAL);
  assert.equal((await append(server, url, 2, 'c', '?0', { 'content-type': `${PARTIAL}; a=b` })).status, 204);
});

test('I27 DELETE ends the upload, and a request that runs first', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab', disposition('e'));
  const part = { 'content-type': PARTIAL, 'upload-offset': '2', 'upload-complete': '?1' };
  const { socket } = await hanging(server, 'PATCH', url, part, Buffer.from('c'), 9);
  const ended = new Promise((resolve) => socket.on('close', resolve));
  await receiving(server);
  assert.equal((await ask(server, 'DELETE', url)).status, 204);
  await ended;
  for (const method of ['HEAD', 'GET', 'DELETE']) assert.equal((await ask(server, method, url)).status, 404, method);
  assert.equal((await append(server, url, 2, 'c', '?1')).status, 404);
  assert.equal(server.app.engine.usage(`default/${server.client.id}`).bytes, 0);
});

test('I28 I29 I30 I31 OPTIONS says the limits without a sign-in, and they do not drift', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB', LADING_STALE_SECONDS: '600' });
  for (const path of ['/api/uploads', '/api/uploads/', '/api/files/content/a', '/api/uploads/any']) {
    const { status, headers } = await fetch(`${server.origin}${path}`, { method: 'OPTIONS' });
    assert.equal(status, 204);
    assert.equal(headers.get('upload-limit'), 'max-size=1048576, min-size=0, max-age=2592600');
    assert.equal(headers.get('access-control-allow-origin'), '*');
    assert.match(headers.get('access-control-allow-headers') ?? '', /Upload-Complete/);
  }
  const url = await begin(server, 'ab');
  const limits = async () => String((await ask(server, 'HEAD', url)).headers['upload-limit']);
  const ages: number[] = [];
  for (let offset = 2; offset < 5; offset += 1) {
    const limit = await limits();
    assert.match(limit, /^max-size=1048576, min-size=0, max-age=\d+$/);
    ages.push(Number(/max-age=(\d+)/.exec(limit)?.[1]));
    assert.equal((await append(server, url, offset, 'x', '?0')).status, 204);
  }
  assert.ok(
    ages.every((age) => age >= 2_592_000 && age <= 2_592_600),
    ages.join(' '),
  );
});

test('I32 more than the limit allows is 413 with Upload-Limit', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  const url = await begin(server);
  const heard = await append(server, url, 0, randomBytes(1_048_577), '?0');
  assert.equal(heard.status, 413);
  assert.match(String(heard.headers['upload-limit']), /^max-size=1048576/);
  assert.equal(await offsetOf(server, url), 0);
});

test('I34 a parked upload goes on, one that lapsed is gone; max-age says when', async (t) => {
  let now = Date.now();
  const settings = { LADING_STALE_SECONDS: '60', LADING_STALE_REMOVE_DAYS: '1', LADING_UPLOAD_RIGHT: 'on' };
  const server = await startServer(t, settings, { clock: clockOf(() => now) });
  const url = await begin(server, 'ab');
  const age = async () => /max-age=(\d+)$/.exec(String((await ask(server, 'HEAD', url)).headers['upload-limit']))?.[1];
  now += 59_000;
  assert.equal(await age(), '86401');
  now += 1_000;
  assert.equal((await server.app.engine.sweep()).parked, 1);
  assert.equal(await offsetOf(server, url), 2);
  assert.equal(await age(), '86400');
  now += 86_399_000;
  assert.equal(await age(), '1');
  assert.equal((await append(server, url, 2, 'c', '?0')).status, 204);
  assert.equal(await age(), '86460');
  now += 60_000;
  await server.app.engine.sweep();
  now += 86_400_000;
  assert.equal((await server.app.engine.sweep()).removed, 1);
  assert.equal((await ask(server, 'HEAD', url)).status, 404);
  assert.equal((await append(server, url, 3, 'd', '?1')).status, 404);
});

test('I35 content that has another Content-Digest is not appended', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab', disposition('f'));
  for (const algorithm of ['sha256', 'sha512']) {
    const wrong = await append(server, url, 2, 'cd', '?1', { 'content-digest': digest('cx', algorithm) });
    assert.equal(wrong.status, 400);
    assert.equal(wrong.headers['upload-complete'], '?0');
    assert.equal(await offsetOf(server, url), 2);
  }
  assert.equal((await append(server, url, 2, 'cd', '?1', { 'content-digest': digest('cd') })).status, 200);
  assert.equal((await content(server, 'f')).toString(), 'abcd');
  const creation = { 'upload-complete': '?0', 'content-digest': digest('x') };
  const refused = await ask(server, 'POST', '/api/uploads', { headers: creation, body: 'ab' });
  assert.equal(refused.status, 400);
  assert.equal(refused.headers.location, undefined);
  assert.equal(server.app.engine.gauges().open_uploads, 0);
});

test('I36 Repr-Digest is compared at the end; one of the stored bytes is sent on request', async (t) => {
  const server = await startServer(t);
  const wrong = await begin(server, 'ab', { ...disposition('g'), 'repr-digest': digest('abX') });
  const refused = await append(server, wrong, 2, 'c', '?1');
  assert.equal(refused.status, 400);
  assert.equal((await ask(server, 'HEAD', wrong)).status, 404, 'it failed, and is not taken');
  const url = await begin(server, 'ab', { ...disposition('g'), 'repr-digest': digest('abc') });
  const want = { 'want-repr-digest': 'sha-512=1, sha-256=9' };
  assert.equal((await ask(server, 'HEAD', url, { headers: want })).headers['repr-digest'], digest('ab'));
  assert.equal(
    (await ask(server, 'HEAD', url, { headers: { 'want-repr-digest': 'md5=9' } })).headers['repr-digest'],
    undefined,
  );
  const done = await append(server, url, 2, 'c', '?1', want);
  assert.equal(done.status, 200);
  assert.equal(done.headers['repr-digest'], digest('abc'));
});

test('I37 transfer coding does not count', async (t) => {
  const server = await startServer(t);
  const headers = { 'upload-complete': '?0' };
  const heard = await ask(server, 'POST', '/api/uploads', { headers, body: randomBytes(300_000), chunked: true });
  assert.equal(heard.headers['upload-offset'], '300000');
});

test('I38 rights are looked at again when the file ends, and the address cannot be guessed', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab', disposition('h'));
  const stranger = { ...server, client: await server.enrol() };
  assert.equal((await ask(stranger, 'HEAD', url)).status, 404);
  assert.equal((await ask(server, 'HEAD', `${url.slice(0, -32)}${'A'.repeat(32)}`)).status, 404);
  const part = { 'content-type': PARTIAL, 'upload-offset': '2', 'upload-complete': '?1' };
  const { socket, heard } = await hanging(server, 'PATCH', url, part, Buffer.from('c'), 2);
  await receiving(server);
  const removed = await fetch(`${server.origin}/api/clients/${server.client.id}`, {
    method: 'DELETE',
    headers: server.admin.headers,
  });
  assert.ok(removed.ok);
  socket.write('d');
  await eventually(() => heard().includes('\r\n\r\n'), 'it is answered');
  assert.match(heard(), /^HTTP\/1\.1 401 /);
  socket.destroy();
});

test('I38 a quota is looked at again when the file ends, also without a byte more', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'abcdef', disposition('q'));
  const limit = (bytes: number | null) =>
    fetch(`${server.origin}/api/quotas/client/${server.client.id}`, {
      method: 'PUT',
      headers: { ...server.admin.headers, 'content-type': 'application/json' },
      body: JSON.stringify({ bytes, open_uploads: null, day_bytes: null }),
    });
  assert.ok((await limit(3)).ok);
  const refused = await append(server, url, 6, '', '?1');
  assert.equal(refused.status, 413);
  assert.equal((JSON.parse(refused.body) as { code: string }).code, 'quota_exceeded');
  assert.equal(await offsetOf(server, url), 6, 'nothing is lost by it');
  assert.ok((await limit(null)).ok);
  assert.equal((await append(server, url, 6, '', '?1')).status, 200);
  assert.equal((await content(server, 'q')).toString(), 'abcdef');
});

test('I39 a server that stops says 503, also to HEAD', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab');
  const { socket } = await hanging(
    server,
    'PATCH',
    url,
    { 'content-type': PARTIAL, 'upload-offset': '2', 'upload-complete': '?0' },
    Buffer.from('c'),
    9,
  );
  await receiving(server);
  const late = connect(server.port, '127.0.0.1');
  let heard = '';
  late.on('data', (data) => {
    heard += data.toString();
  });
  await new Promise((resolve) => late.on('connect', resolve));
  const closing = server.close();
  const { authorization } = server.client.headers;
  late.write(`HEAD ${new URL(url).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n\r\n`);
  await eventually(() => heard.includes(' 503 '), 'told to come again');
  socket.destroy();
  late.destroy();
  await closing;
});

test('I41 browsers begin carefully: an empty creation, and everything else in answers', async (t) => {
  const server = await startServer(t);
  const page = { origin: 'https://page.example.org' };
  const created = await ask(server, 'POST', '/api/uploads', {
    headers: { ...page, ...disposition('i'), 'upload-complete': '?0' },
  });
  assert.equal(created.status, 201);
  assert.equal(created.headers['access-control-allow-origin'], '*');
  assert.match(String(created.headers['access-control-expose-headers']), /Location.*Upload-Offset/);
  const url = new URL(created.headers.location ?? '', server.origin).href;
  assert.equal((await append(server, url, 0, 'abc', '?1', page)).status, 200);
});
