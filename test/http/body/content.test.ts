/** Codings and ranges of content at every route that changes something. The routes come from the OpenAPI document. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../../support/product/server.ts';
import { assertProblem, exchange, Wire, type WireResponse } from '../../support/wire/wire.ts';

const UNSAFE = ['post', 'put', 'patch', 'delete'];

interface Operation {
  method: string;
  path: string;
}

interface Document {
  paths: Record<string, Record<string, unknown>>;
}

/** Every operation that is not safe, with made-up values in its path. */
async function operations(origin: string): Promise<Operation[]> {
  const document = (await (await fetch(`${origin}/openapi.json`)).json()) as Document;
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item)
      .filter((method) => UNSAFE.includes(method))
      .map((method) => ({ method: method.toUpperCase(), path: path.replaceAll(/\{[^}]+\}/g, 'x') })),
  );
}

function ask(port: number, { method, path }: Operation, authorization: string, ...more: string[]) {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: localhost', `Authorization: ${authorization}`];
  return exchange(port, ...lines, 'Tus-Resumable: 1.0.0', 'X-Requested-With: test', ...more);
}

function refused({ path }: Operation, { status, body }: WireResponse, wanted: number): void {
  assert.equal(status, wanted, `${path}: ${status} ${body}`);
}

test('every route refuses encoded content', async (t) => {
  const { origin, port, admin, client } = await startServer(t);
  const { authorization } = admin.headers;
  const all = await operations(origin);
  assert.ok(all.length > 50, String(all.length));
  for (const operation of all) {
    const coded = await ask(port, operation, authorization, 'Content-Encoding: gzip', 'Content-Length: 0');
    if (coded.status !== 403) refused(operation, coded, 415);
  }
  const plain = { ...client.headers, 'content-encoding': 'identity' };
  assert.equal(
    (await fetch(`${origin}/api/files/content/x`, { method: 'PUT', headers: plain, body: 'x' })).status,
    201,
  );
});

test('only the route for chunks accepts Content-Range', async (t) => {
  const { origin, port, admin } = await startServer(t);
  const { authorization } = admin.headers;
  for (const operation of await operations(origin)) {
    if (operation.path === '/api/files/upload') continue;
    const partial = await ask(port, operation, authorization, 'Content-Range: bytes 5-9/10', 'Content-Length: 5');
    if (partial.status !== 403) refused(operation, partial, 400);
    if (partial.status !== 403) assert.match(partial.body, /This route does not accept Content-Range/, operation.path);
  }
});

test('transfer codings other than chunked are refused', async (t) => {
  const { origin, port, admin } = await startServer(t);
  const { authorization } = admin.headers;
  const codings = ['gzip, chunked', 'junk, chunked', ',chunked'];
  for (const operation of await operations(origin)) {
    for (const coding of codings) {
      const reply = await ask(port, operation, authorization, `Transfer-Encoding: ${coding}`);
      assert.equal(reply.status, 501, `${operation.path} ${coding}: ${reply.body}`);
    }
  }
  for (const coding of ['gzip', 'identity', 'chunked, gzip', 'chunked, chunked', 'chunked;q=1', '"chunked"']) {
    assertProblem(
      await exchange(port, 'GET /health HTTP/1.1', 'Host: a', `Transfer-Encoding: ${coding}`),
      'not_implemented',
    );
  }
  for (const coding of ['chunked', 'Chunked']) {
    const wire = await Wire.open(port);
    wire.head('POST /auth/token HTTP/1.1', 'Host: a', `Transfer-Encoding: ${coding}`).send('0\r\n\r\n');
    assert.notEqual((await wire.response()).status, 501);
    wire.destroy();
  }
});

test('a part of a file is never stored as the file', async (t) => {
  const { origin, client } = await startServer(t);
  const url = `${origin}/api/files/content/f`;
  const whole = 'the whole file';
  assert.equal((await fetch(url, { method: 'PUT', headers: client.headers, body: whole })).status, 201);
  const range = { 'content-range': `bytes 4-13/${whole.length}` };
  for (const method of ['PUT', 'POST']) {
    const reply = await fetch(url, { method, headers: { ...client.headers, ...range }, body: whole.slice(4) });
    assert.equal(reply.status, 400, await reply.text());
  }
  const reply = await fetch(`${origin}/api/files/download/f`, { headers: client.headers });
  assert.equal(await reply.text(), whole);
});

test('bytes after a request without framing fields are not parsed as a request', async (t) => {
  const server = await startServer(t);
  const { origin, port, admin } = server;
  const { authorization } = admin.headers;
  const kept = `${origin}/api/files/content/kept`;
  assert.equal((await fetch(kept, { method: 'PUT', headers: admin.headers, body: 'kept' })).status, 201);
  const content = `DELETE /api/files/kept HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\n\r\n`;
  for (const operation of await operations(origin)) {
    // Sign out last: the other requests need the session.
    if (operation.method === 'DELETE' || operation.path.endsWith('/logout')) continue;
    const wire = await Wire.open(port);
    const lines = [`${operation.method} ${operation.path} HTTP/1.1`, 'Host: localhost', 'Tus-Resumable: 1.0.0'];
    wire.head(...lines, `Authorization: ${authorization}`, 'X-Requested-With: test').send(content);
    const { headers } = await wire.response();
    assert.equal(headers.connection, 'close', `${operation.method} ${operation.path}`);
    assert.equal(await wire.closed(), '', `${operation.method} ${operation.path}`);
  }
  assert.equal((await fetch(`${origin}/api/files/download/kept`, { headers: admin.headers })).status, 200);
});
