/** Preconditions (RFC 9110 §13) when the file changes between the header section and the end of the request, and when requests repeat. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { ask, content, type Fields, hanging, type ResumableReply } from '../../support/wire/resumable.ts';

const FILE = '/api/files/content/f';

async function put(server: TestServer, body: string, headers: Fields = {}): Promise<ResumableReply> {
  return await ask(server, 'PUT', FILE, { body, headers });
}

async function etagOf(server: TestServer): Promise<string> {
  return (await ask(server, 'HEAD', '/api/files/download/f')).headers.etag ?? '';
}

async function chunk(server: TestServer, body: string, query: string, headers: Fields = {}): Promise<ResumableReply> {
  return await ask(server, 'POST', `/api/files/upload?filename=f${query}`, {
    headers: { 'content-type': 'application/octet-stream', ...headers },
    body: encodeChunk(0, Buffer.from(body)),
  });
}

async function answered(reply: () => string): Promise<number> {
  await eventually(() => reply().includes('\r\n\r\n'), 'the answer');
  return Number(reply().split(' ')[1]);
}

test('a file that changes while the body arrives is not replaced', async (t) => {
  const server = await startServer(t);
  for (const second of ['deleted', 'replaced'] as const) {
    await put(server, 'one');
    const etag = await etagOf(server);
    const { socket, reply } = await hanging(server, 'PUT', FILE, { 'if-match': etag }, Buffer.from('two'), 6);
    await eventually(() => server.app.engine.gauges().receiving === 1, 'the request runs');
    assert.equal((await ask(server, 'DELETE', '/api/files/f')).status, 200);
    if (second === 'replaced') assert.equal((await put(server, 'three')).status, 201);
    socket.write('two');
    assert.equal(await answered(reply), 412, reply());
    socket.destroy();
    const after = await ask(server, 'GET', '/api/files/download/f');
    assert.deepEqual([after.status, after.body], second === 'replaced' ? [200, 'three'] : [404, after.body]);
  }
});

test('a file that is created while the body arrives is not replaced', async (t) => {
  const server = await startServer(t);
  const { socket, reply } = await hanging(server, 'PUT', FILE, { 'if-none-match': '*' }, Buffer.from('two'), 6);
  await eventually(() => server.app.engine.gauges().receiving === 1, 'the request runs');
  // The first request has claimed the name.
  assert.equal((await put(server, 'other')).status, 409);
  socket.write('two');
  assert.equal(await answered(reply), 201, reply());
  socket.destroy();
  assert.equal((await put(server, 'other', { 'if-none-match': '*' })).status, 412);
  assert.equal((await content(server, 'f')).toString(), 'twotwo');
});

test('a failed precondition is answered before the body arrives', async (t) => {
  const server = await startServer(t);
  await put(server, 'one');
  for (const [path, headers] of [
    [FILE, {}],
    ['/api/files/upload?filename=f&overwrite=true&total_size=9', { 'content-type': 'application/octet-stream' }],
  ] as [string, Fields][]) {
    const method = path === FILE ? 'PUT' : 'POST';
    const reply = await ask(server, method, path, {
      headers: { ...headers, 'if-match': '"stale"', expect: '100-continue' },
      body: 'x'.repeat(26),
    });
    assert.deepEqual([reply.status, reply.interim], [412, []]);
  }
});

test('preconditions of a replacement are checked when it begins, and its last chunk may be repeated', async (t) => {
  const server = await startServer(t);
  await put(server, 'one');
  const etag = await etagOf(server);
  const query = '&overwrite=true&total_size=3';
  assert.equal((await chunk(server, 'two', query, { 'if-match': '"stale"' })).status, 412);
  assert.equal((await content(server, 'f')).toString(), 'one');
  assert.equal((await chunk(server, 'two', query, { 'if-match': etag })).status, 200);
  assert.equal((await content(server, 'f')).toString(), 'two');
  // The client repeats a request whose answer was lost. It has already been done (RFC 9110 §13.1.1).
  const again = await chunk(server, 'two', query, { 'if-match': etag });
  assert.equal(again.status, 200, again.body);
  assert.equal((JSON.parse(again.body) as { chunk: { duplicate: boolean } }).chunk.duplicate, true);
  // Other bytes begin another replacement.
  assert.equal((await chunk(server, 'six', query, { 'if-match': etag })).status, 412);
  assert.equal((await content(server, 'f')).toString(), 'two');
});

test('a chunk that continues a replacement ignores its precondition', async (t) => {
  const server = await startServer(t);
  await put(server, 'one');
  const etag = await etagOf(server);
  const query = '/api/files/upload?filename=f&overwrite=true&total_size=6';
  const headers = { 'content-type': 'application/octet-stream' };
  const first = { headers: { ...headers, 'if-match': etag }, body: encodeChunk(0, Buffer.from('two')) };
  assert.equal((await ask(server, 'POST', query, first)).status, 200);
  const second = { headers: { ...headers, 'if-match': '"any"' }, body: encodeChunk(3, Buffer.from('six')) };
  assert.equal((await ask(server, 'POST', query, second)).status, 200);
  assert.equal((await content(server, 'f')).toString(), 'twosix');
});

test('an unfinished upload does not count as a file: If-None-Match permits an upload, If-Match does not', async (t) => {
  const server = await startServer(t);
  assert.equal((await chunk(server, 'abc', '&total_size=6', { 'if-match': '*' })).status, 412);
  assert.equal((await chunk(server, 'abc', '&total_size=6', { 'if-none-match': '*' })).status, 200);
  assert.equal((await ask(server, 'DELETE', '/api/files/f', { headers: { 'if-match': '*' } })).status, 412);
  assert.equal((await ask(server, 'DELETE', '/api/files/g', { headers: { 'if-match': '*' } })).status, 404);
  const cancelled = await ask(server, 'DELETE', '/api/files/f?upload=only', { headers: { 'if-none-match': '*' } });
  assert.equal(cancelled.status, 200, cancelled.body);
});

test('PUT ends an idle unfinished upload, and waits for one that is receiving bytes', async (t) => {
  const server = await startServer(t);
  for (const over of [false, true]) {
    if (over) await put(server, 'one');
    const query = over ? '&overwrite=true&total_size=6' : '&total_size=6';
    assert.equal((await chunk(server, 'abc', query)).status, 200);
    // A request that is refused by its header section does not change the upload.
    assert.equal((await put(server, 'x', { 'if-match': '"stale"' })).status, 412);
    assert.equal((await put(server, 'x', { 'repr-digest': 'sha-256=:AAAA:' })).status, 400);
    const kept = JSON.parse((await ask(server, 'GET', '/api/files/status/f')).body) as { bytes_received: number };
    assert.equal(kept.bytes_received, 3);
    const sending = `/api/files/upload?filename=f${query}`;
    const rest = encodeChunk(3, Buffer.from('def'));
    const type = { 'content-type': 'application/octet-stream' };
    const { socket } = await hanging(server, 'POST', sending, type, rest.subarray(0, 18), rest.length);
    await eventually(() => server.app.engine.gauges().receiving === 1, 'the chunk is received');
    assert.equal((await put(server, 'two')).status, 409);
    socket.destroy();
    await eventually(() => server.app.engine.gauges().receiving === 0, 'the chunk is over');
    assert.equal((await put(server, 'two')).status, over ? 200 : 201);
    assert.equal((await content(server, 'f')).toString(), 'two');
    assert.equal((await ask(server, 'DELETE', '/api/files/f')).status, 200);
  }
});
