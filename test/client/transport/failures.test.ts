import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isTransient,
  NetworkError,
  networkError,
  parseRetryAfter,
  problemOf,
  retryAfterMs,
} from '../../../src/client/transport/failures.ts';
import type { TransportResponse } from '../../../src/client/transport/transport.ts';
import { CATALOGUE, type ErrorCode, LadingError } from '../../../src/errors.ts';

function responseOf(status: number, text: string, headers: Record<string, string>): TransportResponse {
  return {
    status,
    header: (name) => headers[name] ?? null,
    body: (async function* () {
      yield new TextEncoder().encode(text);
    })(),
    discard: () => {},
  };
}

test('a problem document becomes the error of the server with its members', async () => {
  const members = {
    missing: [[5, 9]],
    missing_more: false,
    expected: 'aa',
    actual: 7,
    total_bytes: 10,
    retry_after: 3,
  };
  const text = JSON.stringify({
    code: 'not_contiguous',
    status: 409,
    title: 't',
    detail: 'Bytes are missing.',
    ...members,
  });
  const error = await problemOf(responseOf(409, text, { 'content-type': 'application/problem+json' }));
  assert.ok(error instanceof LadingError);
  assert.deepEqual([error.code, error.message, error.members], ['not_contiguous', 'Bytes are missing.', members]);
});

test('members of a wrong type are ignored', async () => {
  const text = JSON.stringify({
    code: 'size_conflict',
    detail: 7,
    missing: [[1], 'x', [1, 2]],
    expected: {},
    retry_after: 'soon',
  });
  const error = await problemOf(responseOf(409, text, { 'content-type': 'application/json' }));
  assert.deepEqual(error.members, { missing: [[1, 2]] });
  assert.equal(error.message, 'The server answered 409.');
});

test('the reply of a proxy becomes the nearest error code, with its Retry-After', async () => {
  const html = await problemOf(
    responseOf(502, '<html>Bad gateway', { 'content-type': 'text/html', 'retry-after': '12' }),
  );
  assert.deepEqual([html.code, retryAfterMs(html)], ['overloaded', 12_000]);
  const cases: [number, ErrorCode][] = [
    [413, 'chunk_too_large'],
    [504, 'overloaded'],
    [599, 'internal'],
    [418, 'invalid_request'],
  ];
  for (const [status, code] of cases) assert.equal((await problemOf(responseOf(status, '', {}))).code, code);
  const unknown = await problemOf(
    responseOf(404, '{"code":"from_the_future"}', { 'content-type': 'application/json' }),
  );
  assert.equal(unknown.code, 'not_found');
});

test('every code of the catalogue keeps its code and status', async () => {
  for (const [code, { status }] of Object.entries(CATALOGUE)) {
    const error = await problemOf(
      responseOf(status, JSON.stringify({ code, detail: 'd' }), { 'content-type': 'application/problem+json' }),
    );
    assert.deepEqual([error.code, error.status], [code, status]);
  }
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-11-22T10:00:00Z');
  assert.equal(parseRetryAfter('17', now), 17);
  assert.equal(parseRetryAfter('Sun, 22 Nov 2026 10:00:30 GMT', now), 30);
  assert.equal(parseRetryAfter('Sun, 22 Nov 2026 09:00:00 GMT', now), 0);
  assert.equal(parseRetryAfter('soon', now), null);
  assert.equal(parseRetryAfter(null, now), null);
});

test('network failures, overload, a full disk and rate limits are transient; refusals are not', () => {
  const transient = Object.keys(CATALOGUE).filter((code) => isTransient(new LadingError(code as ErrorCode, 'd')));
  assert.deepEqual(transient.sort(), [
    'insufficient_storage',
    'internal',
    'overloaded',
    'rate_limited',
    'request_timeout',
    'shutting_down',
  ]);
  assert.ok(isTransient(new NetworkError('unreachable')));
  assert.ok(!isTransient(new TypeError('a mistake')));
});

test('a date in Retry-After is relative to the Date of the reply', async () => {
  const headers = { date: 'Sun, 22 Nov 2020 10:00:00 GMT', 'retry-after': 'Sun, 22 Nov 2020 10:00:45 GMT' };
  assert.equal(retryAfterMs(await problemOf(responseOf(503, '', headers))), 45_000);
});

test('connection errors are classified by their code, even inside wrappers', () => {
  const failure = (code: string) => Object.assign(new Error(`${code} happened`), { code });
  const transient = (error: unknown, hasAnswered: boolean) => isTransient(networkError(error, hasAnswered));
  for (const code of [
    'ECONNREFUSED',
    'ECONNRESET',
    'ETIMEDOUT',
    'EAI_AGAIN',
    'ENETUNREACH',
    'UND_ERR_SOCKET',
    'ENEW',
  ]) {
    assert.ok(transient(failure(code), false) && transient(failure(code), true), code);
  }
  for (const code of ['ENOTFOUND', 'ERR_SSL_WRONG_VERSION_NUMBER', 'EPROTO', 'HPE_INVALID_CONSTANT']) {
    assert.ok(!transient(failure(code), false) && transient(failure(code), true), code);
  }
  for (const code of ['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID']) {
    assert.ok(!transient(failure(code), false) && !transient(failure(code), true), code);
  }
  const wrapped = new TypeError('fetch failed', { cause: new AggregateError([failure('ENOTFOUND')]) });
  assert.ok(!transient(wrapped, false));
  assert.match(networkError(wrapped, false).message, /host name does not exist.*\(ENOTFOUND\)$/);
  assert.equal(networkError(failure('ENEW'), false).message, 'The connection failed: ENEW happened.');
  assert.equal(networkError('odd', true).message, 'The connection failed: no reason given.');
});
