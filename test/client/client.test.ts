import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { LadingClient, LadingError, NetworkError } from '../../src/client/client.ts';
import { fetchTransport } from '../../src/client/transport/fetch.ts';
import type { Transport } from '../../src/client/transport/transport.ts';
import { undiciTransport } from '../../src/client/transport/undici.ts';
import { crc32, hex32 } from '../../src/protocol/crc32.ts';
import { startServer } from '../support/product/server.ts';
import { bytesOf, clientOf, collect, deviceOf } from '../support/tables/fixtures.ts';

const refusedWith = (code: string) => (error: unknown) => error instanceof LadingError && error.code === code;
const NAME = 'a folder/ünïcode & more?#%.bin';

for (const [kind, transport] of Object.entries({ fetch: fetchTransport, undici: undiciTransport })) {
  test(`${kind}: a file is uploaded, read, verified and deleted`, async (t) => {
    const server = await startServer(t);
    const client = clientOf(t, { server: server.origin, token: server.client.token, transport: transport() });
    const bytes = bytesOf(1000);
    assert.equal((await client.status(NAME)).status, 'pending');
    const partial = await client.uploadChunk(NAME, { start: 600, data: bytes.slice(600), totalSize: 1000 });
    assert.deepEqual(partial.missing, [[0, 599]]);
    assert.deepEqual(partial.chunk, {
      start: 600,
      end: 999,
      crc32: hex32(crc32(bytes.subarray(600))),
      duplicate: false,
    });
    const early = await client.download(NAME, { range: { start: 700, end: 799 } });
    assert.deepEqual([early.extent, early.size], [{ start: 700, end: 799 }, 1000]);
    assert.deepEqual(await collect(early.body), Buffer.from(bytes.subarray(700, 800)));
    await assert.rejects(client.download(NAME), refusedWith('not_complete'));
    await assert.rejects(client.head(NAME), refusedWith('not_found'));

    const complete = await client.uploadChunk(NAME, { start: 0, data: bytes.slice(0, 600), contentType: 'image/png' });
    assert.deepEqual([complete.status, complete.crc32], ['complete', hex32(crc32(bytes))]);
    const head = await client.head(NAME);
    assert.deepEqual([head.size, head.etag, head.contentType], [1000, complete.etag, complete.content_type]);
    const full = await client.download(NAME);
    assert.deepEqual([full.extent, full.size, full.etag], [null, 1000, head.etag]);
    assert.deepEqual(await collect(full.body), Buffer.from(bytes));
    const suffix = await client.download(NAME, { range: { suffix: 10 } });
    assert.deepEqual(await collect(suffix.body), Buffer.from(bytes.subarray(990)));
    await assert.rejects(client.download(NAME, { range: { start: 1000 } }), refusedWith('range_not_satisfiable'));
    await assert.rejects(client.download(NAME, { ifMatch: '"other"' }), refusedWith('precondition_failed'));
    assert.deepEqual(await client.verify(NAME), { ok: true, checked_bytes: 1000, bad: [] });

    const other = client.uploadChunk(NAME, { start: 0, data: bytesOf(1000, 2), totalSize: 1000 });
    await assert.rejects(other, refusedWith('file_complete'));
    await assert.rejects(client.cancel(NAME), refusedWith('not_found'));
    assert.deepEqual(await client.delete(NAME), ['file']);
    await assert.rejects(client.remove(NAME), refusedWith('not_found'));
    await assert.rejects(client.cancel(NAME), refusedWith('not_found'));
  });
}

test('an empty file is created by one request without a chunk', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const status = await client.uploadChunk('empty', { start: 0, data: new Uint8Array(), totalSize: 0 });
  assert.deepEqual([status.status, status.total_bytes], ['complete', 0]);
});

test('complete seals an upload of undeclared size, or fails with the missing ranges', async (t) => {
  const client = deviceOf(t, await startServer(t));
  await client.uploadChunk('log', { start: 5, data: bytesOf(5) });
  await assert.rejects(client.complete('log'), (error: unknown) => {
    assert.ok(error instanceof LadingError);
    assert.deepEqual([error.code, error.members.missing], ['not_contiguous', [[0, 4]]]);
    return true;
  });
  await client.uploadChunk('log', { start: 0, data: bytesOf(5) });
  assert.equal((await client.complete('log')).status, 'complete');
});

test('list requests all pages', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const names = ['a/1', 'a/2', 'a/3', 'a/4', 'b/1'];
  for (const name of names)
    await client.uploadChunk(name, { start: 0, data: bytesOf(3), totalSize: name === 'a/2' ? 9 : 3 });
  const listed = async (options: Parameters<LadingClient['list']>[0]) => {
    const found: string[] = [];
    for await (const file of client.list(options)) found.push(file.filename);
    return found;
  };
  assert.deepEqual(await listed({ limit: 2 }), names);
  assert.deepEqual(await listed({ limit: 1, prefix: 'a/', status: 'complete' }), ['a/1', 'a/3', 'a/4']);
  const first = await client.listPage({ limit: 2 });
  assert.equal(first.files.length, 2);
  assert.notEqual(first.next_cursor, null);
});

test('watch yields every status until the file is complete', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const seen: string[] = [];
  for await (const status of client.watch('live')) {
    seen.push(`${status.status} ${status.bytes_received}`);
    if (status.bytes_received === 0) await client.uploadChunk('live', { start: 0, data: bytesOf(10), totalSize: 20 });
    if (status.bytes_received === 10) await client.uploadChunk('live', { start: 10, data: bytesOf(10), totalSize: 20 });
  }
  assert.deepEqual(seen, ['pending 0', 'partial 10', 'complete 20']);
});

test('a followed download starts before the rest of the file has arrived', async (t) => {
  const client = deviceOf(t, await startServer(t));
  const bytes = bytesOf(20);
  await client.uploadChunk('live', { start: 0, data: bytes.slice(0, 10), totalSize: 20 });
  const { body } = await client.download('live', { follow: true });
  const got: Uint8Array[] = [];
  for await (const piece of body) {
    got.push(piece);
    if (Buffer.concat(got).length === 10) await client.uploadChunk('live', { start: 10, data: bytes.slice(10) });
  }
  assert.deepEqual(Buffer.concat(got), Buffer.from(bytes));
});

test('administrators create and delete clients, read their files and start a sweep', async (t) => {
  const server = await startServer(t);
  const admin = clientOf(t, { server: server.origin, token: server.admin.token });
  const created = await admin.clients.create({ role: 'client', name: 'camera 7' });
  const device = clientOf(t, {
    server: server.origin,
    clientId: created.client_id,
    clientSecret: created.client_secret,
  });
  await device.uploadChunk('mine', { start: 0, data: bytesOf(3), totalSize: 3 });
  assert.equal((await admin.status('mine')).status, 'pending');
  assert.equal((await admin.status('mine', { owner: created.client_id })).status, 'complete');
  const listed = (await admin.clients.list()).find(({ client_id }) => client_id === created.client_id);
  assert.equal(listed?.name, 'camera 7');
  await assert.rejects(device.clients.list(), (error: unknown) => error instanceof LadingError && error.status === 403);
  await assert.rejects(device.sweep(), (error: unknown) => error instanceof LadingError && error.status === 403);
  assert.deepEqual(await admin.sweep(), { removed: 0, sealed: 0 });
  await admin.clients.remove(created.client_id);
  await assert.rejects(device.status('mine'), refusedWith('unauthorized'));
});

test('concurrent requests with a refused token share one sign-in', async (t) => {
  const server = await startServer(t);
  const { transport, signIns } = counting();
  const { id: clientId, secret: clientSecret } = server.client;
  const client = clientOf(t, { server: server.origin, token: 'refused', clientId, clientSecret, transport });
  await Promise.all(Array.from({ length: 12 }, (_, i) => client.status(`f${i}`)));
  assert.equal(signIns(), 1);
});

test('a token is reused, and renewed shortly before it expires', async (t) => {
  for (const [expiresIn, expected] of [
    [0, 3],
    [1800, 1],
  ] as const) {
    const origin = await listen(t, (url) =>
      url === '/auth/token' ? { access_token: 'x', token_type: 'bearer', expires_in: expiresIn } : { filename: 'f' },
    );
    const { transport, signIns } = counting();
    const client = clientOf(t, { server: origin, clientId: 'a', clientSecret: 'b', transport });
    for (let i = 0; i < 3; i += 1) await client.status('f');
    assert.equal(signIns(), expected);
  }
});

test('when the password grant is off, the client signs in with the client credentials of OAuth', async (t) => {
  const server = await startServer(t, { LADING_PASSWORD_GRANT: 'off' });
  const { id: clientId, secret: clientSecret } = server.client;
  const client = clientOf(t, { server: server.origin, token: 'refused', clientId, clientSecret });
  await client.uploadChunk('f', { start: 0, data: bytesOf(3), totalSize: 3 });
  assert.equal((await client.status('f')).status, 'complete');
  const wrong = clientOf(t, { server: server.origin, clientId, clientSecret: 'wrong' });
  await assert.rejects(wrong.token(), (error: unknown) => {
    assert.ok(error instanceof LadingError && error.code === 'unauthorized');
    assert.match(error.message, /secret/);
    return true;
  });
});

test('a refused token without other credentials is final, and so is a wrong secret', async (t) => {
  const server = await startServer(t);
  await assert.rejects(
    clientOf(t, { server: server.origin, token: 'nonsense' }).status('f'),
    refusedWith('unauthorized'),
  );
  await assert.rejects(clientOf(t, { server: server.origin }).status('f'), refusedWith('unauthorized'));
  const wrong = clientOf(t, { server: server.origin, clientId: server.client.id, clientSecret: 'wrong' });
  await assert.rejects(wrong.status('f'), refusedWith('unauthorized'));
});

test('the server URL may have a path, and a file name never escapes its route', async (t) => {
  const urls: string[] = [];
  const request: Transport['request'] = async ({ url }) => {
    urls.push(url);
    throw new NetworkError('unreachable');
  };
  const transport = { ...undiciTransport(), request };
  const client = clientOf(t, { server: 'https://example.org/lading', token: 'x', transport });
  await assert.rejects(client.status('a/b c'), NetworkError);
  assert.deepEqual(urls, ['https://example.org/lading/api/files/status/a%2Fb%20c']);
  for (const name of ['..', '.', '', 'a/../b', '/a'])
    await assert.rejects(client.remove(name), refusedWith('invalid_name'));
  assert.equal(urls.length, 1);
  assert.throws(() => new LadingClient({ server: 'ftp://example.org' }), TypeError);
});

test('a reply from a different program is a NetworkError', async (t) => {
  const origin = await listen(t, () => 'Welcome to the hotel');
  await assert.rejects(clientOf(t, { server: origin, token: 'x' }).status('f'), NetworkError);
  await assert.rejects(clientOf(t, { server: origin, clientId: 'x', clientSecret: 'y' }).status('f'), NetworkError);
});

/** A transport that counts sign-ins. */
function counting(): { transport: Transport; signIns: () => number } {
  const { request, close } = undiciTransport();
  let count = 0;
  const counted: Transport['request'] = (call) => {
    if (call.url.endsWith('/auth/token')) count += 1;
    return request(call);
  };
  return { transport: { request: counted, close }, signIns: () => count };
}

/** Starts a server that answers every request with JSON. */
async function listen(t: TestContext, answer: (url: string) => unknown): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    response.end(JSON.stringify(answer(request.url ?? '')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}
