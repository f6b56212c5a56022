/** tus 1.0.0 over real sockets. The title of every test begins with the numbers of the requirements that it checks. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer } from '../support/product/server.ts';
import {
  ask,
  begin,
  download,
  hanging,
  metadata,
  offsetOf,
  receiving,
  send,
  TYPE,
  tusHeaders,
} from '../support/wire/tus.ts';

test('T1 every answer except that to OPTIONS has Tus-Resumable, also errors', async (t) => {
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

test('T2 another version is 412 with Tus-Version and has no effect', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  for (const version of ['0.2.2', '2.0.0']) {
    const reply = await send(server, url, 0, Buffer.from('abc'), { 'tus-resumable': version });
    assert.equal(reply.status, 412);
    assert.equal(reply.headers.get('tus-version'), '1.0.0');
  }
  assert.equal(await offsetOf(server, url), 0);
});

test('T3 OPTIONS returns the capabilities without a sign-in', async (t) => {
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

test('T4 X-HTTP-Method-Override replaces the method', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  const fields = { 'content-type': TYPE, 'upload-offset': '0', 'x-http-method-override': 'PATCH' };
  assert.equal((await ask(server, url, 'POST', fields, Buffer.from('ab'))).status, 204);
  assert.equal(await offsetOf(server, url), 2);
  assert.equal((await ask(server, url, 'POST', { 'x-http-method-override': 'DELETE' })).status, 204);
  assert.equal((await ask(server, url)).status, 404);
});

test('T5 HEAD returns offset and length, also at 0 and when complete', async (t) => {
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

test('T6 T10 T33 T42 an unknown, ended, foreign or malformed address is 404 without an offset', async (t) => {
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

test('T7 T8 T13 a wrong media type is 415, a wrong offset 409, a missing one 400, and nothing changes', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  const bytes = Buffer.from('ab');
  assert.equal((await send(server, url, 0, bytes, { 'content-type': 'text/plain' })).status, 415);
  assert.equal((await send(server, url, 1, bytes)).status, 409);
  assert.equal((await ask(server, url, 'PATCH', { 'content-type': TYPE }, bytes)).status, 400);
  assert.equal(await offsetOf(server, url), 0);
});

test('T9 PATCH advances the offset, and the complete upload is an ordinary file', async (t) => {
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

test('T11 bytes count that arrived before a connection broke or was superseded', async (t) => {
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

test('T12 T21 no byte past the length is stored', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, { 'upload-length': '3' });
  assert.equal((await send(server, url, 0, Buffer.from('abcd'))).status, 413);
  assert.equal(await offsetOf(server, url), 0);
  const fields = { 'upload-length': '3', 'content-type': TYPE };
  assert.equal((await ask(server, `${server.origin}/files/`, 'POST', fields, Buffer.from('abcd'))).status, 413);
  // Without a length, only the bytes themselves show that there are too many.
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('abcd'));
      controller.close();
    },
  });
  const headers = tusHeaders(server, { 'content-type': TYPE, 'upload-offset': '0' });
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
