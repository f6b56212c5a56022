import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compose } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { startServer } from '../support/server.ts';
import { assertProblem, Wire, type WireResponse } from '../support/wire.ts';

test('while it starts a server is healthy, not ready, and refuses work with the time to come back', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lading-start-'));
  const { config } = loadConfig({}, { LADING_DATA_DIR: folder, LADING_LOG_LEVEL: 'silent', LADING_WORKERS: '1' });
  const app = await compose(config);
  t.after(async () => {
    await app.close();
    await rm(folder, { recursive: true, force: true });
  });
  const ask = async (url: string): Promise<WireResponse> => {
    const { statusCode: status, headers, body } = await app.server.inject(url);
    return {
      status,
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)])),
      body,
    };
  };
  assert.equal((await ask('/health')).status, 200);
  for (const url of ['/ready', '/api/files', '/metrics']) {
    const refused = await ask(url);
    assert.equal(assertProblem(refused, 'overloaded').retry_after, 1);
    assert.equal(refused.headers['retry-after'], '1');
  }
});

test('while it stops a server finishes what runs and refuses what comes', async (t) => {
  const { port, client, close } = await startServer(t);
  const auth = `Authorization: ${client.headers.authorization}`;
  const chunk = encodeChunk(0, Buffer.from('hello'));
  const busy = await Wire.open(port);
  const upload = 'POST /api/files/upload?filename=a&total_size=5 HTTP/1.1';
  busy.head(
    upload,
    'Host: x',
    auth,
    'Content-Type: application/octet-stream',
    `Content-Length: ${chunk.length}`,
    'Expect: 100-continue',
  );
  assert.equal((await busy.response()).status, 100);
  busy.send(chunk.subarray(0, 20));
  // In the middle of a request too, so that it is not closed as idle.
  const late = await Wire.open(port);
  late.send('GET /ready HTTP/1.1\r\n');
  await new Promise((resolve) => setTimeout(resolve, 100));

  const closed = close();
  const refused = await late.head('Host: x').response();
  assertProblem(refused, 'shutting_down');
  assert.equal(refused.headers.connection, 'close');
  await late.closed();
  const done = await busy.send(chunk.subarray(20)).response();
  assert.equal(done.status, 200, done.body);
  await closed;
  await assert.rejects(Wire.open(port), /ECONNREFUSED/);
});

test('a connection that never sent a request does not hold up the stop', { timeout: 60_000 }, async (t) => {
  const { port, close } = await startServer(t, { LADING_SHUTDOWN_SECONDS: '3600' });
  const silent = await Wire.open(port);
  await close();
  await silent.closed();
});
