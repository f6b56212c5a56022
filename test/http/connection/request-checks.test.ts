/** Ambiguous requests are refused as strictly as by nginx, or more, and the connection is closed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { createLog } from '../../../src/http/observe/log.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { tlsSettings } from '../../support/wire/tls.ts';
import { assertProblem, exchange, Wire } from '../../support/wire/wire.ts';

const GET = 'GET /health HTTP/1.1';
const POST = 'POST /auth/token HTTP/1.1';

/** Request lines and fields. */
const REFUSED: readonly string[][] = [
  [GET],
  [GET, 'Host:'],
  [GET, 'Host: a', 'Host: b'],
  [GET, 'Host: a', 'host: a'],
  [GET, 'Host: a, b'],
  [GET, 'Host: a@b'],
  [GET, 'Host: a/b'],
  [GET, 'Host: a:65536'],
  [GET, 'Host: a:b'],
  [GET, `Host: ${'a'.repeat(400)}`],
  ['GET /health HTTP/1.0', 'Host: a', 'Host: b'],
  ['GET /health'],
  ['GET /health', 'Host: a', 'Content-Length: 5'],
  ['GET /health HTTP/0.9', 'Host: a'],
  ['GET /health HTTP/0.8', 'Host: a'],
  ['GET /health HTTP/1.2', 'Host: a'],
  ['GET /health HTTP/2.0', 'Host: a'],
  ['GET /health HTTP/3.0', 'Host: a'],
  ['GET http:///health HTTP/1.1', 'Host: a'],
  ['POST /auth/token HTTP/1.0', 'Transfer-Encoding: chunked'],
  [POST, 'Host: a', 'Content-Length: 3', 'Content-Length: 3'],
  [POST, 'Host: a', 'Content-Length: 3, 3'],
  [POST, 'Host: a', 'Content-Length: +3'],
  [POST, 'Host: a', 'Content-Length: 3', 'Transfer-Encoding: chunked'],
  [POST, 'Host: a', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  [POST, 'Host: a', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
  [POST, 'Host: a', 'Transfer-Encoding : chunked'],
  [POST, 'Host: a', 'Content-Type: text/plain', 'Content-Type: application/json', 'Content-Length: 0'],
  [GET, 'Host: a', 'Authorization: Bearer a', 'Authorization: Bearer b'],
  [GET, 'Host: a', 'Authorization: Bearer a', 'AUTHORIZATION: Bearer a'],
  [GET, 'Host: a', 'If-Range: "a"', 'If-Range: "b"'],
  [GET, 'Host: a', 'X-Folded: a', ' b'],
  [GET, 'Host: a', ' b'],
  [GET, ' Host: a'],
  [GET, 'Host: a', 'X-Bare: a\rb'],
  [GET, 'Host: a', 'X-Nul: \0'],
];

test('a request that repeats a field, or has an invalid version or form, is refused and closed', async (t) => {
  const { port } = await startServer(t);
  for (const lines of REFUSED) {
    const wire = await Wire.open(port);
    const response = await wire.head(...lines).response();
    assert.equal(response.status, 400, JSON.stringify([lines, response]));
    assertProblem(response, 'invalid_request');
    assert.equal(response.headers.connection, 'close', JSON.stringify(lines));
    await wire.closed();
  }
});

test('HTTP/1.0 is served with and without Host, and list fields may have several lines', async (t) => {
  const { port } = await startServer(t);
  const served: string[][] = [
    ['GET /health HTTP/1.0'],
    ['GET /health HTTP/1.0', 'Host: a'],
    [GET, 'Host: [::1]:8005'],
    [GET, 'Host: a', 'X-Forwarded-For: 192.0.2.1', 'X-Forwarded-For: 192.0.2.2'],
    [GET, 'Host: a', 'If-None-Match: "a"', 'If-None-Match: "b"'],
    [GET, 'Host: a', 'Cookie: a=b', 'Cookie: c=d'],
  ];
  for (const lines of served) {
    const response = await exchange(port, ...lines);
    assert.equal(response.status, 200, JSON.stringify([lines, response]));
  }
});

test('the host of an absolute target replaces Host', async (t) => {
  const { port } = await startServer(t);
  const metadata = async (...lines: string[]) =>
    (JSON.parse((await exchange(port, ...lines)).body) as { issuer: string }).issuer;
  const path = '/.well-known/oauth-authorization-server';
  assert.equal(await metadata(`GET ${path} HTTP/1.1`, 'Host: a.example'), 'http://a.example');
  assert.equal(await metadata(`GET http://b.example:81${path} HTTP/1.1`, 'Host: a.example'), 'http://b.example:81');
  assert.equal((await exchange(port, 'GET http://b.example?x HTTP/1.1', 'Host: a')).status, 200);
});

test('an error in the body of an answered request gets no second answer', async (t) => {
  const { port } = await startServer(t);
  const heads = ['GET /health HTTP/1.1', 'POST /nowhere HTTP/1.1', 'POST /api/files/upload?filename=a HTTP/1.1'];
  for (const head of heads) {
    for (const [first, rest] of [
      ['', 'zz\r\n'],
      ['3\r\nabc\r\n', '-1\r\n'],
      ['3\r\nabc\r\n', `${'f'.repeat(40)}\r\n`],
      ['3\r\nabc\r\n0\r\n', 'no field\r\n\r\n'],
    ] as const) {
      const wire = await Wire.open(port);
      wire.head(head, 'Host: a', 'Transfer-Encoding: chunked').send(first);
      const response = await wire.response();
      assert.ok(response.status < 500, JSON.stringify(response));
      wire.send(rest);
      assert.equal(await wire.closed(), '', `${head} ${rest}`);
    }
  }
});

test('complete requests are answered before the malformed one after them is refused', async (t) => {
  const { port } = await startServer(t);
  for (const before of [1, 3]) {
    const wire = await Wire.open(port);
    wire.send(`${GET}\r\nHost: a\r\n\r\n`.repeat(before)).send('GARBAGE\r\n\r\n');
    for (let i = 0; i < before; i += 1) assert.equal((await wire.response()).status, 200);
    assertProblem(await wire.response(), 'invalid_request');
    assert.equal(await wire.closed(), '');
  }
});

test('over HTTP/2 an unknown method is refused and logged like any other request', async (t) => {
  const lines: { msg: string; status?: number }[] = [];
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const { port } = await startServer(t, await tlsSettings(await temporaryFolder(t)), { log });
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.after(() => session.close());
  const methods = ['FOO', 'get', 'PRI', 'G'.repeat(10_000), '*', 'M-SEARCH2'];
  lines.length = 0;
  for (const method of methods) {
    for (const path of ['/health', '/none', '/api/files', '/files/', '/%ff']) {
      const stream = session.request({ ':path': path, ':method': method });
      stream.resume().end();
      const [reply] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
      assert.equal(reply[':status'], 501, method);
      assert.equal(reply['content-type'], 'application/problem+json');
      assert.ok(reply['x-request-id']);
    }
  }
  await eventually(() => lines.length >= methods.length * 5, 'each has its line');
  assert.equal(lines.length, methods.length * 5, JSON.stringify(lines));
  assert.ok(lines.every(({ msg, status }) => msg === 'request' && status === 501));
});

test('a target that is not a path is refused', async (t) => {
  const { port } = await startServer(t);
  for (const target of ['*', '*/health', 'ftp://a/health']) {
    const response = await exchange(port, `GET ${target} HTTP/1.1`, 'Host: a');
    assert.equal(response.status, 400, target);
    assertProblem(response, 'invalid_request');
  }
});

test('over HTTP/2 a request with two different hosts is refused', async (t) => {
  const { app } = await startServer(t, await tlsSettings(await temporaryFolder(t)));
  const { port } = app.server.server.address() as AddressInfo;
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.after(() => session.close());
  /** The status, or the error with which node's parser ended the stream. */
  const ask = async (headers: Record<string, string>): Promise<number | string> => {
    const stream = session.request({ ':path': '/health', ...headers });
    stream.resume().end();
    try {
      const [reply] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
      return reply[':status'];
    } catch (error) {
      return String(error);
    }
  };
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ ':authority': 'a.example', host: 'A.example' }), 200);
  assert.equal(await ask({ ':authority': 'a.example', host: 'b.example' }), 400);
  assert.equal(await ask({ ':authority': 'a:99999' }), 400);
  for (const authority of ['a/b', 'a b', '']) {
    assert.match(String(await ask({ ':authority': authority })), /^400$|PROTOCOL_ERROR/, authority);
  }
  assert.equal(await ask({}), 200);
});
