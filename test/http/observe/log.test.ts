import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Logger } from 'pino';
import { createLog } from '../../../src/http/observe/log.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { signIn, startServer } from '../../support/product/server.ts';

function collected(level: string): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  return { log: createLog(level, { write: (line) => void lines.push(JSON.parse(line)) }), lines };
}

test('a request is one log line with its principal, path and status, and without secrets', async (t) => {
  const { log, lines } = collected('trace');
  const { origin, client, admin } = await startServer(t, {}, { log });
  await signIn(origin, client.id, client.secret);
  await fetch(`${origin}/auth/token`, {
    method: 'POST',
    body: new URLSearchParams({ username: client.id, password: 'a-wrong-guess' }),
  });
  const headers = { ...client.headers, 'content-type': 'application/octet-stream', cookie: 'session=hush-cookie' };
  const body = encodeChunk(0, Buffer.from('hush-content'));
  const query = 'filename=hush-name&total_size=12&content_type=text/hush-query';
  await fetch(`${origin}/api/files/upload?${query}`, {
    method: 'POST',
    headers: { ...headers, 'x-request-id': 'upload-1' },
    body,
  });
  const made = await fetch(`${origin}/api/clients`, {
    method: 'POST',
    headers: { ...admin.headers, 'content-type': 'application/json' },
    body: '{"role":"client","name":"x"}',
  });
  const { client_secret: secret } = (await made.json()) as { client_secret: string };
  await fetch(`${origin}/api/nothing?hush-path`, { headers });
  // A client that sends a token in place of an id.
  const apiToken = `lat_${'0'.repeat(16)}_${'hush'.repeat(10)}abc`;
  const refreshToken = `lrt_${'0'.repeat(32)}_${'hush'.repeat(10)}abc`;
  for (const token of [client.token, apiToken, refreshToken, apiToken.replaceAll('_', '%5F')])
    for (const path of [`/api/tokens/${token}`, `/v1/auth/sessions/${token}`, `/api/files/${token}/x`])
      await (await fetch(`${origin}${path}`, { method: 'DELETE', headers: client.headers })).arrayBuffer();

  const all = JSON.stringify(lines);
  for (const hidden of [client.secret, client.token, admin.token, secret, 'a-wrong-guess', 'hush']) {
    assert.ok(!all.includes(hidden), `${hidden} is in the log`);
  }
  const about = lines.filter((line) => line.request_id === 'upload-1');
  assert.equal(about.length, 1, JSON.stringify(about));
  const { level, time, ms, msg, ...rest } = about[0] ?? {};
  assert.deepEqual(rest, {
    request_id: 'upload-1',
    method: 'POST',
    path: '/api/files/upload',
    status: 200,
    address: '127.0.0.1',
    client: client.id,
  });
  assert.equal(level, 'debug');
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.ok(typeof ms === 'number' && ms >= 0);
  assert.equal(msg, 'request');
});

test('accepted chunks are logged at debug, refused ones at info', async (t) => {
  const { log, lines } = collected('info');
  const { origin, client } = await startServer(t, {}, { log });
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  const body = encodeChunk(0, Buffer.from('hello'));
  for (const size of [5, 6]) {
    await fetch(`${origin}/api/files/upload?filename=a&total_size=${size}`, { method: 'POST', headers, body });
  }
  const uploads = lines.filter((line) => line.path === '/api/files/upload');
  assert.deepEqual(
    uploads.map((line) => line.status),
    [409],
  );
});

test('the address that a proxy reports counts if the proxy is trusted', async (t) => {
  for (const [trusted, address] of [
    ['none', '127.0.0.1'],
    ['10.0.0.0/8', '127.0.0.1'],
    ['loopback', '203.0.113.9'],
  ] as const) {
    const { log, lines } = collected('info');
    const { origin } = await startServer(t, { LADING_TRUST_PROXY: trusted }, { log });
    await fetch(`${origin}/nothing`, { headers: { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' } });
    assert.equal(lines.find((line) => line.path === '/nothing')?.address, address, trusted);
  }
});
