/** Resumable uploads: options, limits, digests, rights, stops and browsers. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { clockOf } from '../support/product/clock.ts';
import { startServer } from '../support/product/server.ts';
import { append, ask, begin, content, hanging, offsetOf, PARTIAL } from '../support/wire/resumable.ts';
import { digest, disposition, receiving } from './core-setup.ts';

test('I28 I29 I30 I31 OPTIONS returns the limits without a sign-in, and they stay the same', async (t) => {
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

test('I32 content above the limit is 413 with Upload-Limit', async (t) => {
  const server = await startServer(t, { LADING_MAX_FILE_BYTES: '1MiB' });
  const url = await begin(server);
  const reply = await append(server, url, 0, randomBytes(1_048_577), '?0');
  assert.equal(reply.status, 413);
  assert.match(String(reply.headers['upload-limit']), /^max-size=1048576/);
  assert.equal(await offsetOf(server, url), 0);
});

test('I34 a parked upload continues, an expired one is 404, and max-age has the time', async (t) => {
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

test('I35 content that does not match its Content-Digest is not appended', async (t) => {
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

test('I36 Repr-Digest is checked at the end, and the digest of the stored bytes is sent on request', async (t) => {
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

test('I37 the transfer coding does not affect the offset', async (t) => {
  const server = await startServer(t);
  const headers = { 'upload-complete': '?0' };
  const reply = await ask(server, 'POST', '/api/uploads', { headers, body: randomBytes(300_000), chunked: true });
  assert.equal(reply.headers['upload-offset'], '300000');
});

test('I38 the authorization is checked again at the end, and the address cannot be guessed', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab', disposition('h'));
  const stranger = { ...server, client: await server.enrol() };
  assert.equal((await ask(stranger, 'HEAD', url)).status, 404);
  assert.equal((await ask(server, 'HEAD', `${url.slice(0, -32)}${'A'.repeat(32)}`)).status, 404);
  const part = { 'content-type': PARTIAL, 'upload-offset': '2', 'upload-complete': '?1' };
  const { socket, reply } = await hanging(server, 'PATCH', url, part, Buffer.from('c'), 2);
  await receiving(server);
  const removed = await fetch(`${server.origin}/api/clients/${server.client.id}`, {
    method: 'DELETE',
    headers: server.admin.headers,
  });
  assert.ok(removed.ok);
  socket.write('d');
  await eventually(() => reply().includes('\r\n\r\n'), 'it is answered');
  assert.match(reply(), /^HTTP\/1\.1 401 /);
  socket.destroy();
});

test('I38 quotas are checked again at the end, also for an empty append', async (t) => {
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

test('I39 a stopping server answers 503, also to HEAD', async (t) => {
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
  let reply = '';
  late.on('data', (data) => {
    reply += data.toString();
  });
  await new Promise((resolve) => late.on('connect', resolve));
  const closing = server.close();
  const { authorization } = server.client.headers;
  late.write(`HEAD ${new URL(url).pathname} HTTP/1.1\r\nhost: x\r\nauthorization: ${authorization}\r\n\r\n`);
  await eventually(() => reply.includes(' 503 '), 'told to come again');
  socket.destroy();
  late.destroy();
  await closing;
});

test('I41 a browser can begin with an empty creation and needs no 104', async (t) => {
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
