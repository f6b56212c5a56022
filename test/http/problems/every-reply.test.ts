/** The fields of every answer of every route and page, including errors: security fields and CORS. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { startServer, type TestServer, type TestSettings } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { operationsOf } from '../../support/tables/openapi.ts';
import { tlsSettings } from '../../support/wire/tls.ts';
import { exchange, type WireResponse } from '../../support/wire/wire.ts';

const APP = 'https://app.example.org';
const STRANGER = 'https://stranger.example';
/** Routes that any page may use. */
const OPEN = /^\/(?:api\/files(?:$|\/(?:download|status|content)\/)|api\/uploads(?:$|\/)|files(?:$|\/)|s\/)/;
const PAGES = [
  '/',
  '/docs',
  '/docs/',
  '/openapi.json',
  '/docs/static/start.js',
  '/api/tokens/dashboard',
  '/nowhere',
  '/api/x%ff',
];

interface Target {
  method: string;
  path: string;
}

async function targetsOf({ origin }: TestServer): Promise<Target[]> {
  const operations = (await operationsOf(origin)).map(({ method, path }) => ({
    method,
    path: path.replaceAll(/\{[^}]+\}/g, 'a'),
  }));
  assert.ok(operations.length > 80, `${operations.length} operations`);
  return [...operations, ...PAGES.map((path) => ({ method: 'GET', path }))];
}

/** Sends the request as an administrator if it changes nothing, otherwise without a token. */
function ask({ port, admin }: TestServer, { method, path }: Target, ...fields: string[]): Promise<WireResponse> {
  const safe = method === 'GET' || method === 'HEAD';
  const who = safe ? [`Authorization: ${admin.headers.authorization}`] : ['Content-Length: 0'];
  return exchange(port, `${method} ${path} HTTP/1.1`, 'Host: a.example', ...who, ...fields);
}

async function withFile(t: TestContext, settings: TestSettings): Promise<TestServer> {
  const server = await startServer(t, settings);
  const body = encodeChunk(0, Buffer.from('abc'));
  const headers = { ...server.admin.headers, 'content-type': 'application/octet-stream' };
  const url = `${server.origin}/api/files/upload?filename=a&total_size=3`;
  assert.equal((await fetch(url, { method: 'POST', headers, body })).status, 200);
  return server;
}

function assertSecure({ headers }: WireResponse, what: string): void {
  assert.match(headers['content-security-policy'] ?? '', /default-src 'none'/, what);
  // An uploaded file may be shown in a frame, because it is sandboxed.
  assert.match(headers['content-security-policy'] ?? '', /frame-ancestors 'none'|^sandbox;/, what);
  assert.equal(headers['x-content-type-options'], 'nosniff', what);
  assert.ok(headers['referrer-policy'], what);
}

function assertAllowed({ headers }: WireResponse, what: string): void {
  assert.equal(headers['access-control-allow-origin'], APP, what);
  assert.equal(headers['access-control-allow-credentials'], 'true', what);
  assert.match(headers.vary ?? '', /\borigin\b/i, what);
}

test('every answer has the security fields, and HSTS over TLS', async (t) => {
  const server = await withFile(t, { DASHBOARD_PASSWORD: 'a password of four words' });
  const seen = new Set<number>();
  for (const target of await targetsOf(server)) {
    const reply = await ask(server, target);
    seen.add(reply.status);
    assertSecure(reply, `${target.method} ${target.path}: ${JSON.stringify(reply)}`);
    assert.equal(reply.headers['strict-transport-security'], undefined);
  }
  for (const status of [200, 400, 401, 404]) assert.ok(seen.has(status), `${status} was seen`);
  assertSecure(await exchange(server.port, 'GET / HTTP/1.1', 'Host: a', ' folded'), 'what node cannot parse');
  assertSecure(await exchange(server.port, 'GET / HTTP/1.1'), 'without Host');
});

test('every answer has HSTS if the public URL is https or the server itself has TLS', async (t) => {
  const server = await withFile(t, { LADING_PUBLIC_URL: 'https://files.example.org' });
  for (const target of await targetsOf(server)) {
    const { headers } = await ask(server, target);
    assert.match(headers['strict-transport-security'] ?? '', /^max-age=\d{8}/, `${target.method} ${target.path}`);
  }
  const { port } = await startServer(t, await tlsSettings(await temporaryFolder(t)));
  for (const request of ['GET /health HTTP/1.1\r\nHost: a\r\n\r\n', 'NONSENSE\r\n\r\n']) {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    socket.write(request);
    let head = '';
    for await (const piece of socket.setEncoding('latin1')) {
      head += String(piece);
      if (head.includes('\r\n\r\n')) break;
    }
    assert.match(head, /strict-transport-security: max-age=/i, request);
  }
});

test('only an allowed origin may use every route with cookies, in answers and preflights', async (t) => {
  const server = await withFile(t, { LADING_ALLOWED_ORIGINS: `${APP}, https://other.example.org` });
  for (const target of await targetsOf(server)) {
    const what = `${target.method} ${target.path}`;
    assertAllowed(await ask(server, target, `Origin: ${APP}`), what);

    const foreign = await ask(server, target, `Origin: ${STRANGER}`);
    const open = OPEN.test(target.path) ? '*' : undefined;
    assert.equal(foreign.headers['access-control-allow-origin'], open, what);
    assert.equal(foreign.headers['access-control-allow-credentials'], undefined, what);
    assert.match(foreign.headers.vary ?? '', /\borigin\b/i, what);
    if (target.path === '/nowhere' || target.path.includes('%ff')) continue;

    const preflight = { ...target, method: 'OPTIONS' };
    const wanted = [`Access-Control-Request-Method: ${target.method}`, 'Access-Control-Request-Headers: authorization'];
    const may = await ask(server, preflight, `Origin: ${APP}`, ...wanted);
    assert.equal(may.status, 204, what);
    assertAllowed(may, `preflight of ${what}`);
    assert.ok(may.headers['access-control-allow-methods']?.split(', ').includes(target.method), what);
    assert.match(may.headers['access-control-allow-headers'] ?? '', /authorization.*x-chunk-crc32/i, what);
    const mayNot = await ask(server, preflight, `Origin: ${STRANGER}`, ...wanted);
    assert.equal(mayNot.headers['access-control-allow-origin'], open, what);
    if (open === undefined) assert.equal(mayNot.headers['access-control-allow-methods'], undefined, what);
  }
});

test('* opens every route without cookies, and without the setting only file routes are open', async (t) => {
  const any = await withFile(t, { LADING_ALLOWED_ORIGINS: '*' });
  const none = await withFile(t, {});
  for (const target of await targetsOf(any)) {
    const what = `${target.method} ${target.path}`;
    // The fields are the same for all origins, so that caches need no Vary.
    const open = await ask(any, target, `Origin: ${STRANGER}`);
    assert.equal(open.headers['access-control-allow-origin'], '*', what);
    assert.equal(open.headers['access-control-allow-credentials'], undefined, what);
    const closed = await ask(none, target, `Origin: ${STRANGER}`);
    assert.equal(closed.headers['access-control-allow-origin'], OPEN.test(target.path) ? '*' : undefined, what);
  }
});

test('streams, downloads and early refusals have the CORS fields, too', async (t) => {
  const server = await withFile(t, { LADING_ALLOWED_ORIGINS: APP });
  const from = `Origin: ${APP}`;
  const who = `Authorization: ${server.admin.headers.authorization}`;
  const host = 'Host: a.example';
  const answers: [string, string[]][] = [
    ['GET /api/files/status/new HTTP/1.1', ['Accept: text/event-stream']],
    ['GET /api/events HTTP/1.1', ['Accept: text/event-stream']],
    ['GET /api/files/download/a HTTP/1.1', []],
    ['GET /api/files/download/a HTTP/1.1', ['Range: bytes=0-0,2-2']],
    ['GET /api/files/download/a HTTP/1.1', ['Range: bytes=9-']],
    ['POST /files/ HTTP/1.1', ['Tus-Resumable: 1.0.0', 'Upload-Length: 5', 'Content-Length: 0']],
    [
      'POST /api/files/upload?filename=b HTTP/1.1',
      ['Content-Type: application/octet-stream', 'Content-Length: 9999999999999'],
    ],
  ];
  for (const [line, fields] of answers) {
    const reply = await exchange(server.port, line, host, from, who, ...fields);
    assertAllowed(reply, `${line} ${reply.status}`);
    assertSecure(reply, line);
  }
});

test('a request with a cookie is accepted only from programs and from pages of the server or of allowed origins', async (t) => {
  const server = await startServer(t, { LADING_ALLOWED_ORIGINS: APP });
  const cookie = `Cookie: access_token=${server.client.token}`;
  const remove = async (...fields: string[]) =>
    (await exchange(server.port, 'DELETE /api/files/none HTTP/1.1', 'Host: a.example', cookie, ...fields)).status;
  assert.equal(await remove(`Origin: ${APP}`), 404);
  assert.equal(await remove(`Origin: ${APP}`, 'Sec-Fetch-Site: cross-site'), 404);
  assert.equal(await remove('Origin: http://a.example'), 404);
  assert.equal(await remove(`Origin: ${STRANGER}`), 403);
  assert.equal(await remove('Origin: https://app.example.org.evil.example'), 403);
  assert.equal(await remove('Origin: http://app.example.org'), 403);
  assert.equal(await remove('Origin: null'), 403);
  assert.equal(await remove('Sec-Fetch-Site: cross-site'), 403);
  assert.equal(await remove(), 404, 'a program sends neither Origin nor Sec-Fetch-Site');
});
