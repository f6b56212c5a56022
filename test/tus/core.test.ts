/** tus 1.0.0 over real sockets. Every test carries the number of its line in the list of what the protocol demands. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
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
  speak,
  TYPE,
} from '../support/wire/tus.ts';

test('T1 every answer but that to OPTIONS says Tus-Resumable, refusals too', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  const replies = [
    await ask(server, url),
    await ask(server, `${server.origin}/files/none`),
    await send(server, url, 9, Buffer.from('abc')),
    await fetch(url, { method: 'HEAD', headers: { 'tus-resumable': '1.0.0' } }),
    await fetch(url, { method: 'HEAD', headers: server.client.headers }),
  ];
  assert.deepEqual(
    replies.map(({ status }) => status),
    [200, 404, 409, 401, 412],
  );
  for (const { headers } of replies) {
    assert.equal(headers.get('tus-resumable'), '1.0.0');
    assert.equal(headers.get('access-control-allow-origin'), '*');
    assert.match(headers.get('access-control-expose-headers') ?? '', /Upload-Offset/);
  }
});

test('T2 another version is 412 with Tus-Version, and nothing is done', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  for (const version of ['0.2.2', '2.0.0']) {
    const reply = await send(server, url, 0, Buffer.from('abc'), { 'tus-resumable': version });
    assert.equal(reply.status, 412);
    assert.equal(reply.headers.get('tus-version'), '1.0.0');
  }
  assert.equal(await offsetOf(server, url), 0);
});

test('T3 OPTIONS tells what the server can do, without a sign-in', async (t) => {
  const { origin } = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  for (const path of ['/files', '/files/', '/files/any']) {
    const { status, headers } = await fetch(`${origin}${path}`, {
      method: 'OPTIONS',
      headers: { 'tus-resumable': '9' },
    });
    assert.equal(status, 204);
    assert.equal(headers.get('tus-version'), '1.0.0');
    assert.equal(headers.get('tus-max-size'), '1048576');
    assert.match(
      headers.get('tus-extension') ?? '',
      /^creation,creation-with-upload,creation-defer-length,expiration,checksum,checksum-trailer,termination,concatenation/,
    );
    assert.match(headers.get('tus-checksum-algorithm') ?? '', /^sha1,sha256,/);
    assert.match(headers.get('access-control-allow-methods') ?? '', /PATCH/);
    assert.match(headers.get('access-control-allow-headers') ?? '', /X-HTTP-Method-Override/);
  }
});

test('T4 X-HTTP-Method-Override is the method', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  const fields = { 'content-type': TYPE, 'upload-offset': '0', 'x-http-method-override': 'PATCH' };
  assert.equal((await ask(server, url, 'POST', fields, Buffer.from('ab'))).status, 204);
  assert.equal(await offsetOf(server, url), 2);
  assert.equal((await ask(server, url, 'POST', { 'x-http-method-override': 'DELETE' })).status, 204);
  assert.equal((await ask(server, url)).status, 404);
});

test('T5 HEAD tells offset and length, also at 0 and when complete', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3', 'upload-metadata': metadata({ filename: 'a.bin' }) });
  for (const offset of [0, 3]) {
    const { status, headers } = await ask(server, url);
    assert.equal(status, 200);
    assert.equal(headers.get('upload-offset'), String(offset));
    assert.equal(headers.get('upload-length'), '3');
    assert.equal(headers.get('cache-control'), 'no-store');
    if (offset === 0) assert.equal((await send(server, url, 0, Buffer.from('abc'))).status, 204);
  }
  assert.equal((await download(server, 'a.bin')).toString(), 'abc');
});

test('T6 T10 T33 T42 what is unknown, ended, foreign or a trick is 404 without an offset', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  const stranger = await server.enrol();
  assert.equal(
    (await fetch(url, { method: 'HEAD', headers: { ...stranger.headers, 'tus-resumable': '1.0.0' } })).status,
    404,
  );
  const [id, secret] = new URL(url).pathname.slice('/files/'.length).split('.');
  assert.equal((await ask(server, url, 'DELETE')).status, 204);
  const tricks = [
    'none',
    `${id}`,
    `${id}.${secret?.replaceAll(/./g, 'A')}`,
    '..%2f..%2fetc',
    `${id}%00.${secret}`,
    '..%2e',
    '%zz',
  ];
  for (const path of [`${id}.${secret}`, ...tricks]) {
    for (const method of ['HEAD', 'PATCH', 'DELETE']) {
      const fields = { 'content-type': TYPE, 'upload-offset': '0' };
      const { status, headers } = await ask(server, `${server.origin}/files/${path}`, method, fields);
      assert.equal(status, 404, `${method} ${path}`);
      assert.equal(headers.get('upload-offset'), null);
    }
  }
});

test('T7 another media type is 415, T8 another offset 409, T13 none 400, and nothing changes', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  const bytes = Buffer.from('ab');
  assert.equal((await send(server, url, 0, bytes, { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await send(server, url, 1, bytes)).status, 409);
  assert.equal((await ask(server, url, 'PATCH', { 'content-type': TYPE }, bytes)).status, 400);
  assert.equal(await offsetOf(server, url), 0);
});

test('T9 PATCH adds to the offset; the file is like any other', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(3_000_001);
  const fields = {
    'upload-length': String(bytes.length),
    'upload-metadata': metadata({ name: 'dir/a.flac', type: 'audio/flac' }),
  };
  const url = await begin(server, fields);
  let offset = 0;
  for (const end of [1, 65_537, 2_000_000, bytes.length]) {
    const reply = await send(server, url, offset, bytes.subarray(offset, end));
    assert.equal(reply.status, 204);
    assert.equal(reply.headers.get('upload-offset'), String(end));
    offset = end;
    const status = await fetch(`${server.origin}/api/files/status/dir%2Fa.flac`, { headers: server.client.headers });
    const { bytes_received, content_type } = (await status.json()) as { bytes_received: number; content_type: string };
    assert.deepEqual([bytes_received, content_type], [end, 'audio/flac']);
  }
  assert.ok((await download(server, 'dir%2Fa.flac')).equals(bytes));
});

test('T11 a connection that breaks keeps what arrived, and so does one that only seems to live', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(500_000);
  const url = await begin(server, {
    'upload-length': String(bytes.length),
    'upload-metadata': metadata({ filename: 'b' }),
  });
  const broken = await hanging(server, url, 0, bytes.subarray(0, 200_000), bytes.length);
  await receiving(server);
  broken.destroySoon();
  await eventually(async () => (await offsetOf(server, url)) === 200_000, 'all that was sent is kept');
  const silent = await hanging(server, url, 200_000, bytes.subarray(200_000, 300_000), 300_000);
  const ended = new Promise((resolve) => silent.on('close', resolve));
  await receiving(server);
  let offset = await offsetOf(server, url);
  await ended;
  while (offset < bytes.length) {
    const reply = await send(server, url, offset, bytes.subarray(offset));
    offset = Number(reply.headers.get('upload-offset'));
  }
  assert.ok((await download(server, 'b')).equals(bytes));
});

test('T12 T21 nothing is stored past the length', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  assert.equal((await send(server, url, 0, Buffer.from('abcd'))).status, 413);
  assert.equal(await offsetOf(server, url), 0);
  const fields = { 'upload-length': '3', 'content-type': TYPE };
  assert.equal((await ask(server, `${server.origin}/files/`, 'POST', fields, Buffer.from('abcd'))).status, 413);
  // Unknown length: only the bytes themselves show that they are too many.
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('abcd'));
      controller.close();
    },
  });
  const headers = speak(server, { 'content-type': TYPE, 'upload-offset': '0' });
  const init = { method: 'PATCH', headers, body: stream, duplex: 'half' };
  assert.equal((await fetch(url, init as RequestInit)).status, 413);
  assert.ok((await offsetOf(server, url)) <= 3);
});

test('T14 invalid numbers are 400', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  for (const number of ['-1', '+1', '1.0', '1e3', '0x1', '', '99999999999999999999', '9007199254740993']) {
    assert.equal((await send(server, url, 0, Buffer.from('a'), { 'upload-offset': number })).status, 400, number);
    const reply = await ask(server, `${server.origin}/files/`, 'POST', { 'upload-length': number });
    assert.equal(reply.status, 400, number);
  }
});

test('T15 T25 creation is 201 with Location, a path or behind a trusted proxy the whole URL, and Upload-Expires', async (t) => {
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

test('T16 either a length or the promise of one', async (t) => {
  const server = await startServer(t);
  const url = `${server.origin}/files/`;
  const wrong = [{}, { 'upload-length': '3', 'upload-defer-length': '1' }, { 'upload-defer-length': '2' }];
  for (const fields of wrong) assert.equal((await ask(server, url, 'POST', fields as Fields)).status, 400);
});

test('T17 larger than Tus-Max-Size is 413', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  assert.equal((await ask(server, `${server.origin}/files/`, 'POST', { 'upload-length': '1048577' })).status, 413);
});

test('T18 an empty upload is complete at once', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '0', 'upload-metadata': metadata({ filename: 'empty' }) });
  assert.equal(await offsetOf(server, url), 0);
  assert.equal((await download(server, 'empty')).length, 0);
});

test('T19 Upload-Metadata comes back as it was; malformed it is 400', async (t) => {
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

test('T20 the first bytes may come with the creation, after 100 Continue too', async (t) => {
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
  const lines = Object.entries(speak(server, { ...fields, host: 'x', expect: '100-continue', 'content-length': '3' }));
  socket.write(`POST /files/ HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  await eventually(() => /201 Created/.test(answer), 'the upload is begun');
  assert.match(answer, /upload-offset: 3/i);
  socket.destroy();
});

test('T22 T23 T24 a length may be told later, once', async (t) => {
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

test('T26 a parked upload goes on, what lapsed is 404; Upload-Expires says when', async (t) => {
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

test('with 0 days for parked uploads no time is promised', async (t) => {
  const server = await startServer(t, { LADING_STALE_REMOVE_DAYS: '0' });
  const url = await begin(server, { 'upload-length': '3' });
  assert.equal((await ask(server, url)).headers.get('upload-expires'), null);
});

test('T34 DELETE ends a PATCH that runs, and frees what it holds', async (t) => {
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

test('an upload goes on after a restart, and with the right by address after its token ran out', async (t) => {
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

test('a filetype that is no media type is ignored', async (t) => {
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
