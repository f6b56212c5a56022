import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type App, compose } from '../../../src/compose/compose.ts';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { loadConfig } from '../../../src/settings/load-config.ts';
import { startServer } from '../../support/product/server.ts';
import { assertProblem, Wire, type WireResponse } from '../../support/wire/wire.ts';

test('a starting server is alive but not ready, and refuses requests with Retry-After', async (t) => {
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

test('a stopping server finishes running requests and refuses new ones', async (t) => {
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
  // Another connection has a partial request, so that it is not closed as idle.
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

test('a connection without a request does not delay the stop', { timeout: 60_000 }, async (t) => {
  const { port, close } = await startServer(t, { LADING_SHUTDOWN_SECONDS: '3600' });
  const silent = await Wire.open(port);
  await close();
  await silent.closed();
});

test('a connection without a complete header section is closed after the idle time', async (t) => {
  const { port } = await startServer(t, { LADING_IDLE_SECONDS: '1' });
  const [silent, half] = await Promise.all([Wire.open(port), Wire.open(port)]);
  half.send('GET /health HTTP/1.1\r\nHost:');
  assertProblem(await half.response(), 'request_timeout');
  await Promise.all([silent.closed(), half.closed()]);
});

/** A data directory after a power failure: a chunk was recorded with durability `seal`, but its bytes differ from the record. */
async function afterPowerCut(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-cut-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { origin, client, close } = await startServer(t, SEAL, {}, folder);
  const url = `${origin}/api/files/upload?filename=f&total_size=100`;
  const headers = { ...client.headers, 'content-type': 'application/octet-stream' };
  const reply = await fetch(url, { method: 'POST', headers, body: encodeChunk(0, Buffer.from('hello')) });
  assert.equal(reply.status, 200);
  await close();
  await rm(join(folder, 'v1', 'clean'));
  const files = join(folder, 'v1', 'files');
  for (const name of await readdir(files, { recursive: true })) {
    if (!name.endsWith('part')) continue;
    const part = await open(join(files, name), 'r+');
    await part.write('HELLO', 0);
    await part.close();
  }
  return folder;
}

const SEAL = { LADING_DURABILITY: 'seal' };

/** Checks that no upload has stored bytes, because the chunk failed its check. */
async function assertForgotten(t: TestContext, folder: string): Promise<void> {
  const { app, close } = await startServer(t, SEAL, {}, folder);
  const metrics = app.engine.gauges();
  assert.equal(metrics.open_uploads, 1);
  const [owner = ''] = await ownersOf(folder);
  assert.equal((await app.engine.status(owner, 'f')).bytes_received, 0);
  await close();
}

async function ownersOf(folder: string): Promise<string[]> {
  const clients = await readdir(join(folder, 'v1', 'clients'));
  return clients.map((name) => name.replace('.json', '')).filter((id) => id !== 'test-admin');
}

test('a start that fails because its address is in use does not mark an unclean stop as recovered', async (t) => {
  const folder = await afterPowerCut(t);
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const app = await composeOn(folder, String(port));
  await assert.rejects(app.start(), /EADDRINUSE/);
  await app.close();
  await assertForgotten(t, folder);
});

test('a start that is stopped early does not mark an unclean stop as recovered', async (t) => {
  const folder = await afterPowerCut(t);
  const app = await composeOn(folder, '0');
  const starting = app.start();
  starting.catch(() => {});
  await app.server.ready();
  await app.close();
  await starting.catch(() => {});
  await assertForgotten(t, folder);
});

function composeOn(folder: string, port: string): Promise<App> {
  const env = { LADING_HOST: '127.0.0.1', LADING_PORT: port, LADING_DATA_DIR: folder, LADING_LOG_LEVEL: 'silent' };
  return compose(loadConfig({}, { ...env, ...SEAL, LADING_WORKERS: '1' }).config);
}
