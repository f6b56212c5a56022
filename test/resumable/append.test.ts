/** Resumable uploads: interruptions, appends, bytes past the length, and the end. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startServer } from '../support/product/server.ts';
import { append, ask, begin, content, type Fields, hanging, offsetOf, PARTIAL } from '../support/wire/resumable.ts';
import { DRAFT, disposition, receiving, TYPES } from './core-setup.ts';

test('I15 I16 I17 I33 bytes of a broken request count, and HEAD and GET report them at once, even if the old request seems alive', async (t) => {
  const server = await startServer(t);
  const bytes = randomBytes(500_000);
  const fields = { ...DRAFT, ...disposition('b'), 'upload-complete': '?1' };
  const first = await hanging(server, 'POST', '/api/uploads', fields, bytes.subarray(0, 200_000), bytes.length);
  await eventually(() => first.reply().includes('location: '), 'the address of the upload');
  await receiving(server);
  const [, url = ''] = /location: (\S+)/.exec(first.reply()) ?? [];
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

test('I18 I21 I23 I24 appends advance the offset, a wrong one is 409 with the right one, and the end must be declared', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, '', { ...disposition('c'), 'upload-length': '5' });
  const reply = await append(server, url, 0, 'abc', '?0');
  assert.equal(reply.status, 204);
  assert.equal(reply.headers['upload-complete'], '?0');
  assert.equal(reply.headers['upload-offset'], '3');
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

test('I22 bytes past the length invalidate the upload, with any framing', async (t) => {
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

test('I22 a creation with more bytes than its length leaves no upload, with or without a 104', async (t) => {
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

test('I22 an upload may end a request before its length is reached', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab', { 'upload-length': '9' });
  assert.equal((await append(server, url, 2, 'cd', '?0', { 'upload-length': '8' })).status, 400);
  assert.equal((await append(server, url, 2, 'cd', '?1')).status, 400);
  assert.equal(await offsetOf(server, url), 2);
});

test('I25 the last append may be repeated, and other bytes after the end are refused', async (t) => {
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

test('I26 another media type is 415 with Accept-Patch, which OPTIONS also has', async (t) => {
  const server = await startServer(t);
  const url = await begin(server, 'ab');
  const reply = await append(server, url, 2, 'c', '?0', { 'content-type': 'text/plain' });
  assert.equal(reply.status, 415);
  assert.equal(reply.headers['accept-patch'], PARTIAL);
  assert.equal((await ask(server, 'OPTIONS', url)).headers['accept-patch'], PARTIAL);
  assert.equal((await append(server, url, 2, 'c', '?0', { 'content-type': `${PARTIAL}; a=b` })).status, 204);
});

test('I27 DELETE ends the upload, after a running request has ended', async (t) => {
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
