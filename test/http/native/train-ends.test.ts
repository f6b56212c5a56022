/** How trains end, and what others see of them meanwhile. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { LINES_TYPE, TRAIN_TYPE } from '../../../src/protocol/train.ts';
import { fill, NO_SMALL_DISK, smallDisk } from '../../support/disk/small-disk.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { cutsOf, fileStatus, type Outcome, sendTrain, trainOf } from '../../support/wire/trains.ts';

const MIB = 1024 ** 2;
const BYTES = randomBytes(100_000);

/** A train that is sent piece by piece. */
function openTrain(server: TestServer, query: string, fields: Record<string, string> = {}): ClientRequest {
  const sent = request({
    ...{
      port: server.port,
      host: '127.0.0.1',
      method: 'POST',
      path: `/api/files/upload?filename=${query}`,
      agent: false,
    },
    headers: { 'content-type': TRAIN_TYPE, ...server.client.headers, ...fields },
  });
  sent.on('error', () => {});
  return sent;
}

async function outcomeOf(sent: ClientRequest): Promise<{ status: number | undefined; outcome: Outcome }> {
  const [reply] = await once(sent, 'response');
  const rows = (await text(reply)).trim().split('\n');
  return { status: reply.statusCode, outcome: JSON.parse(rows.at(-1) ?? '') as Outcome };
}

async function has(server: TestServer, name: string, bytes: number): Promise<void> {
  await eventually(async () => (await fileStatus(server, name)).bytes_received === bytes, `${bytes} bytes of ${name}`);
}

test('a quota ends a train at the chunk that exceeds it', async (t) => {
  const server = await startServer(t);
  const quota = await fetch(`${server.origin}/api/quotas/client/${server.client.id}`, {
    method: 'PUT',
    headers: { ...server.admin.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ bytes: 10_000, open_uploads: null, day_bytes: null }),
  });
  assert.equal(quota.status, 200, await quota.text());
  const { status, outcome } = await sendTrain(server, 'a', trainOf(BYTES, cutsOf(100_000, 900)));
  assert.deepEqual([status, outcome.code, outcome.committed_chunks], [413, 'quota_exceeded', 11]);
  assert.deepEqual(outcome.failed_chunk, { position: 11, start: 9900, end: 10_799 });
  assert.equal((await fileStatus(server, 'a')).bytes_received, 9900);
});

test('a full disk ends a train with 507, and what counts stays', async (t) => {
  const small = await smallDisk(t, 24 * MIB);
  if (small === null) return t.skip(NO_SMALL_DISK);
  const server = await startServer(t, {}, {}, join(small.folder, 'data'));
  small.beforeUnmount(() => server.close());
  await fill(small.folder, 3 * MIB);
  const bytes = randomBytes(8 * MIB);
  const { status, outcome } = await sendTrain(
    server,
    `a&total_size=${bytes.length}`,
    trainOf(bytes, cutsOf(bytes.length, 8192)),
  );
  assert.deepEqual([status, outcome.code], [507, 'insufficient_storage']);
  const counted = outcome.committed_chunks ?? 0;
  const { bytes_received: received } = await fileStatus(server, 'a');
  assert.equal(received, counted * 8192);
});

test('a token that is revoked ends a train: what counted before stays, nothing after it counts', async (t) => {
  const server = await startServer(t);
  const made = await fetch(`${server.origin}/api/tokens`, {
    method: 'POST',
    headers: { ...server.client.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'train', scopes: ['files:write'] }),
  });
  const { token_id: id, token } = (await made.json()) as { token_id: string; token: string };
  const train = openTrain(server, 'a&total_size=100000', { authorization: `Bearer ${token}`, accept: LINES_TYPE });
  train.write(trainOf(BYTES, [[0, 999]]));
  const ended = outcomeOf(train);
  await has(server, 'a', 1000);
  const revoked = await fetch(`${server.origin}/api/tokens/${id}`, {
    method: 'DELETE',
    headers: server.client.headers,
  });
  assert.equal(revoked.status, 200);
  train.write(trainOf(BYTES, [[1000, 1999]]));
  const { status, outcome } = await ended;
  assert.deepEqual([status, outcome.status, outcome.code, outcome.committed_chunks], [200, 401, 'unauthorized', 1]);
  assert.equal(outcome.failed_chunk, undefined);
  assert.equal((await fileStatus(server, 'a')).bytes_received, 1000);
  train.destroy();
});

test('a server that stops ends its trains; the chunks that came whole count after the restart', async (t) => {
  const dataDir = await temporaryFolder(t);
  const server = await startServer(t, { LADING_SHUTDOWN_SECONDS: '1' }, {}, dataDir);
  const train = openTrain(server, 'a&total_size=100000');
  train.write(trainOf(BYTES, cutsOf(50_000, 1000)));
  train.write(trainOf(BYTES, [[50_000, 59_999]]).subarray(0, 500));
  await has(server, 'a', 50_000);
  const ended = outcomeOf(train);
  const closed = server.close();
  const { status, outcome } = await ended;
  assert.deepEqual([status, outcome.code, outcome.committed_chunks], [503, 'shutting_down', 50]);
  await closed;
  const next = await startServer(t, {}, {}, dataDir);
  const headers = { ...next.admin.headers };
  const reply = await fetch(`${next.origin}/api/files/status/a?owner=${server.client.id}`, { headers });
  assert.equal(((await reply.json()) as { bytes_received: number }).bytes_received, 50_000);
  await next.close();
});

test('a deleted upload ends the train that sends to it', async (t) => {
  const server = await startServer(t);
  const train = openTrain(server, 'a&total_size=100000');
  train.write(trainOf(BYTES, [[0, 999]]));
  await has(server, 'a', 1000);
  await fetch(`${server.origin}/api/files/a`, { method: 'DELETE', headers: server.client.headers });
  const ended = outcomeOf(train);
  train.end(trainOf(BYTES, [[1000, 1999]]));
  assert.equal((await ended).outcome.code, 'not_found');
  assert.equal((await fileStatus(server, 'a')).status, 'pending');
});

test('events, the status stream and the metrics see each group', async (t) => {
  const server = await startServer(t);
  const { origin, client } = server;
  const abort = new AbortController();
  t.after(() => abort.abort());
  const stream = await fetch(`${origin}/api/events?types=chunk.received,file.completed`, {
    headers: client.headers,
    signal: abort.signal,
  });
  const heard: { type: string; bytes_received?: number }[] = [];
  void (async () => {
    let rest = '';
    for await (const piece of stream.body ?? []) {
      rest += Buffer.from(piece).toString();
      const blocks = rest.split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data) heard.push(JSON.parse(data) as { type: string });
      }
    }
  })().catch(() => {});
  const { lines, outcome } = await sendTrain(server, 'a&total_size=100000', trainOf(BYTES, cutsOf(100_000, 100)), {
    lines: true,
  });
  assert.equal(outcome.status, 'complete');
  await eventually(() => heard.at(-1)?.type === 'file.completed', 'the end');
  const received = heard.filter(({ type }) => type === 'chunk.received');
  assert.ok(
    received.length >= 1 && received.length <= lines.length,
    `${received.length} events, ${lines.length} lines`,
  );
  assert.equal(received.at(-1)?.bytes_received, 100_000);
  const metrics = await (await fetch(`${origin}/metrics`, { headers: server.admin.headers })).text();
  assert.match(metrics, /^lading_chunks_total 1000$/m);
  assert.match(metrics, /^lading_chunk_bytes_total 100000$/m);
});
