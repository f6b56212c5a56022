import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CATALOGUE, type ErrorCode, LadingError } from '../../../src/errors.ts';
import { createLog } from '../../../src/http/observe/log.ts';
import { problemReply } from '../../../src/http/problems/problems.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblem, assertProblemReply, exchange, Wire } from '../../support/wire/wire.ts';

const HOST = 'Host: localhost';

test('every code of the catalogue becomes a problem document with its status and headers', () => {
  for (const code of Object.keys(CATALOGUE) as ErrorCode[]) {
    const { status, headers, body } = problemReply(
      new LadingError(code, 'What to do next.', { retry_after: 1.2 }),
      'r1',
      true,
    );
    const response = { status, headers, body: body.toString() };
    assert.equal(assertProblem(response, code).instance, 'urn:request:r1');
    assert.equal(headers['retry-after'], '2');
    assert.equal(headers['content-length'], String(body.length));
    assert.equal(headers['www-authenticate'] !== undefined, status === 401 || code === 'insufficient_scope');
    assert.equal(headers['content-range'] !== undefined, status === 416);
  }
});

test('a 416 has the size of the file', () => {
  const { headers } = problemReply(
    new LadingError('range_not_satisfiable', 'No such bytes.', { total_bytes: 26 }),
    null,
    false,
  );
  assert.equal(headers['content-range'], 'bytes */26');
});

test('every invalid request is answered with a problem document', async (t) => {
  const { port, admin, client } = await startServer(t);
  const auth = `Authorization: ${client.headers.authorization}`;
  const adminAuth = `Authorization: ${admin.headers.authorization}`;
  const json = 'Content-Type: application/json';
  const form = 'Content-Type: application/x-www-form-urlencoded';
  const octets = 'Content-Type: application/octet-stream';
  const cases: [string, ErrorCode, string[]][] = [
    ['an unknown path', 'not_found', ['GET /nothing HTTP/1.1', HOST]],
    ['another method', 'method_not_allowed', ['PUT /api/files HTTP/1.1', HOST, auth, 'Content-Length: 0']],
    ['an invented method of a known path', 'method_not_allowed', ['PROPFIND /health HTTP/1.1', HOST]],
    ['no Host', 'invalid_request', ['GET /health HTTP/1.1']],
    ['a Host of two words', 'invalid_request', ['GET /health HTTP/1.1', 'Host: a b']],
    ['a Host with a path', 'invalid_request', ['GET /health HTTP/1.1', 'Host: a/@b']],
    ['a Host with a user', 'invalid_request', ['GET /health HTTP/1.1', 'Host: user@b']],
    ['a Host in quotes', 'invalid_request', ['GET /health HTTP/1.1', 'Host: "a"']],
    ['no HTTP at all', 'invalid_request', ['hello']],
    ['a bad length', 'invalid_request', ['POST /auth/token HTTP/1.1', HOST, 'Content-Length: x']],
    [
      'a length twice',
      'invalid_request',
      ['POST /auth/token HTTP/1.1', HOST, 'Content-Length: 1', 'Content-Length: 2'],
    ],
    [
      'length and chunked',
      'invalid_request',
      ['POST /auth/token HTTP/1.1', HOST, 'Content-Length: 1', 'Transfer-Encoding: chunked'],
    ],
    ['a huge field', 'headers_too_large', ['GET /health HTTP/1.1', HOST, `X-A: ${'a'.repeat(40_000)}`]],
    ['a huge target', 'headers_too_large', [`GET /health?${'a'.repeat(40_000)} HTTP/1.1`, HOST]],
    ['a path that is no UTF-8', 'invalid_request', ['GET /health/%ff%fe HTTP/1.1', HOST]],
    ['a name that is no UTF-8', 'invalid_name', ['GET /api/files/status/%ff HTTP/1.1', HOST, auth]],
    ['a name cut in an escape', 'invalid_name', ['GET /api/files/status/a%2 HTTP/1.1', HOST, auth]],
    ['a name with ..', 'invalid_name', ['GET /api/files/status/a/%2e%2e/b HTTP/1.1', HOST, auth]],
    ['a name with a NUL', 'invalid_name', ['GET /api/files/status/a%00 HTTP/1.1', HOST, auth]],
    ['a name from the root', 'invalid_name', ['GET /api/files/status//etc/passwd HTTP/1.1', HOST, auth]],
    ['a name of 2 KiB', 'invalid_name', [`DELETE /api/files/${'n'.repeat(2048)} HTTP/1.1`, HOST, auth]],
    ['no name', 'invalid_name', ['GET /api/files/status/ HTTP/1.1', HOST, auth]],
    ['a client id of 4 KiB', 'invalid_request', [`DELETE /api/clients/${'n'.repeat(4096)} HTTP/1.1`, HOST, adminAuth]],
    ['no token', 'unauthorized', ['GET /api/files HTTP/1.1', HOST]],
    ['a parameter twice', 'invalid_request', ['GET /api/files?limit=1&limit=2 HTTP/1.1', HOST, auth]],
    ['a limit of 0', 'invalid_request', ['GET /api/files?limit=0 HTTP/1.1', HOST, auth]],
    ['a limit of 1001', 'invalid_request', ['GET /api/files?limit=1001 HTTP/1.1', HOST, auth]],
    ['a made-up cursor', 'invalid_request', ['GET /api/files?cursor=%20 HTTP/1.1', HOST, auth]],
    ['an unknown status', 'invalid_request', ['GET /api/files?status=done HTTP/1.1', HOST, auth]],
    ['a prefix that is no UTF-8', 'invalid_request', ['GET /api/files?prefix=%c3 HTTP/1.1', HOST, auth]],
    ["another's files", 'forbidden', [`GET /api/files?owner=${admin.id} HTTP/1.1`, HOST, auth]],
    ['the list of clients', 'insufficient_scope', ['GET /api/clients HTTP/1.1', HOST, auth]],
    ['a sweep', 'insufficient_scope', ['POST /api/sweep HTTP/1.1', HOST, auth, 'Content-Length: 0']],
    ['the metrics without a token', 'unauthorized', ['GET /metrics HTTP/1.1', HOST]],
    ['the metrics of a client', 'insufficient_scope', ['GET /metrics HTTP/1.1', HOST, auth]],
    ['a file that is not there', 'not_found', ['DELETE /api/files/a HTTP/1.1', HOST, auth]],
    ['a client that is not there', 'not_found', ['DELETE /api/clients/nobody HTTP/1.1', HOST, adminAuth]],
    ['oneself deleted', 'invalid_request', [`DELETE /api/clients/${admin.id} HTTP/1.1`, HOST, adminAuth]],
    ['no filename', 'validation_failed', ['POST /api/files/upload HTTP/1.1', HOST, auth, octets, 'Content-Length: 0']],
    [
      'a filename that is no UTF-8',
      'invalid_name',
      ['POST /api/files/upload?filename=%ff HTTP/1.1', HOST, auth, octets, 'Content-Length: 0'],
    ],
    [
      'JSON as a chunk',
      'unsupported_media_type',
      ['POST /api/files/upload?filename=a HTTP/1.1', HOST, auth, json, 'Content-Length: 2', '', '{}'],
    ],
    [
      'an invalid media type',
      'unsupported_media_type',
      ['POST /api/files/upload?filename=a HTTP/1.1', HOST, auth, 'Content-Type: ;', 'Content-Length: 0'],
    ],
    [
      'a coded chunk',
      'unsupported_media_type',
      ['POST /api/files/upload?filename=a HTTP/1.1', HOST, auth, octets, 'Content-Encoding: gzip', 'Content-Length: 0'],
    ],
    [
      'a form without boundary',
      'invalid_request',
      [
        'POST /api/files/upload?filename=a HTTP/1.1',
        HOST,
        auth,
        'Content-Type: multipart/form-data',
        'Content-Length: 2',
        '',
        'ab',
      ],
    ],
    [
      'no JSON where it belongs',
      'unsupported_media_type',
      ['POST /api/clients HTTP/1.1', HOST, adminAuth, 'Content-Type: text/csv', 'Content-Length: 1', '', 'a'],
    ],
    [
      'bad JSON',
      'invalid_request',
      ['POST /api/clients HTTP/1.1', HOST, adminAuth, json, 'Content-Length: 1', '', '{'],
    ],
    ['empty JSON', 'invalid_request', ['POST /api/clients HTTP/1.1', HOST, adminAuth, json, 'Content-Length: 0']],
    [
      'an unknown role',
      'validation_failed',
      ['POST /api/clients HTTP/1.1', HOST, adminAuth, json, 'Content-Length: 15', '', '{"role":"king"}'],
    ],
    [
      'a poisoned prototype',
      'invalid_request',
      ['POST /api/clients HTTP/1.1', HOST, adminAuth, json, 'Content-Length: 16', '', '{"__proto__":{}}'],
    ],
    [
      'a sign-in as JSON',
      'unsupported_media_type',
      ['POST /auth/token HTTP/1.1', HOST, json, 'Content-Length: 2', '', '{}'],
    ],
    [
      'a sign-in without password',
      'validation_failed',
      ['POST /auth/token HTTP/1.1', HOST, form, 'Content-Length: 10', '', 'username=a'],
    ],
    ['a long form', 'chunk_too_large', ['POST /auth/token HTTP/1.1', HOST, form, 'Content-Length: 99999999']],
  ];
  for (const [what, code, lines] of cases) {
    await t.test(what, async () => {
      const body = lines.indexOf('');
      const head = body === -1 ? lines : lines.slice(0, body);
      const wire = await Wire.open(port);
      wire.head(...head).send(body === -1 ? '' : (lines[body + 1] ?? ''));
      const response = await wire.response();
      wire.destroy();
      assertProblem(response, code);
    });
  }
});

test('an unsupported method is answered with 405 and Allow', async (t) => {
  const { port } = await startServer(t);
  const refused = await exchange(port, 'POST /health HTTP/1.1', HOST, 'Content-Length: 0');
  assertProblem(refused, 'method_not_allowed');
  assert.equal(refused.headers.allow, 'GET, HEAD, OPTIONS');
  const asked = await exchange(port, 'OPTIONS /auth/token HTTP/1.1', HOST);
  assert.equal(asked.status, 204);
  assert.equal(asked.headers.allow, 'OPTIONS, POST');
});

test('an unexpected error is a 500 without details, and the log shows it with its request id', async (t) => {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const { app, origin, client } = await startServer(t, {}, { log });
  app.engine.status = () => Promise.reject(new TypeError("ENOENT: no such file, open '/srv/data/v1/secret'"));
  const headers = { ...client.headers, 'x-request-id': 'my-request.1' };
  const reply = await fetch(`${origin}/api/files/status/a`, { headers });
  assert.equal(reply.headers.get('x-request-id'), 'my-request.1');
  await assertProblemReply(reply, 'internal');
  const about = lines.filter((line) => line.includes('my-request.1'));
  assert.ok(about.some((line) => line.includes('ENOENT')));
  assert.ok(!lines.join('').includes(client.token));
});

test('an unsafe request id is replaced', async (t) => {
  const { origin } = await startServer(t);
  for (const id of ['a b', '"}', 'x'.repeat(200)]) {
    const reply = await fetch(`${origin}/health`, { headers: { 'x-request-id': id } });
    assert.match(reply.headers.get('x-request-id') ?? '', /^[\w.-]{3,40}$/);
  }
});
