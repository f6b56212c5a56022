/** Trains over HTTP/2, replies that nobody reads, and long trains. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TrainLines } from '../../../src/http/native/train-lines.ts';
import { encodeTrainChunk, LINES_TYPE, TRAIN_TYPE } from '../../../src/protocol/train.ts';
import { eventually } from '../../support/eventually.ts';
import { atEnd, startServer, type TestServer } from '../../support/product/server.ts';
import { temporaryFolder } from '../../support/servers/processes.ts';
import { tlsSettings } from '../../support/wire/tls.ts';
import { cutsOf, download, fileStatus, type Outcome, trainOf } from '../../support/wire/trains.ts';

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

test('lines that wait for their client are merged and never pile up', async () => {
  const lines = new TrainLines();
  lines.resume();
  lines.pause();
  for (let chunk = 0; chunk < 100_000; chunk += 1) {
    const extent = { start: chunk * 10, end: chunk * 10 + 9 };
    lines.group({
      ...{ committed: [extent], chunks: 1, bytes: 10, committedChunks: chunk + 1 },
      ...{ received: extent.end + 1, next: extent.end + 1 },
    });
  }
  assert.ok(lines.readableLength < 64 * 1024, `${lines.readableLength}`);
  lines.outcome('{}');
  lines.end();
  const rows = (await text(lines))
    .trim()
    .split('\n')
    .map((row) => JSON.parse(row) as { committed?: [number, number][] });
  const committed = rows.flatMap((row) => row.committed ?? []);
  assert.deepEqual([committed[0]?.[0], committed.at(-1)?.[1]], [0, 999_999]);
  assert.equal(
    committed.reduce((sum, [start, end]) => sum + end - start + 1, 0),
    1_000_000,
  );
});

async function session(t: TestContext, settings: Record<string, string> = {}, windowBytes = 65_535) {
  const server = await startServer(t, { ...(await tlsSettings(await temporaryFolder(t))), ...settings });
  const client = connect(server.origin, { rejectUnauthorized: false, settings: { initialWindowSize: windowBytes } });
  client.on('error', () => {});
  atEnd(t, async () => void client.destroy());
  await once(client, 'connect');
  const open = (method: string, path: string, fields: Record<string, string> = {}): ClientHttp2Stream =>
    client.request({ ':method': method, ':path': path, ...server.client.headers, ...fields });
  const status = async (name: string): Promise<Outcome> =>
    JSON.parse(await text(open('GET', `/api/files/status/${name}`))) as Outcome;
  return { server, open, status };
}

test('HTTP/2: a train in lines, a refusal in its middle, and one that breaks', async (t) => {
  const { server, open, status } = await session(t);
  const path = (name: string): string => `/api/files/upload?filename=${name}&total_size=100000`;
  const fields = { 'content-type': TRAIN_TYPE, accept: LINES_TYPE };
  const whole = open('POST', path('a'), fields);
  whole.write(trainOf(BYTES, cutsOf(60_000, 600)));
  const [headers] = (await once(whole, 'response')) as [IncomingHttpHeaders];
  assert.deepEqual([headers[':status'], headers['content-type']], [200, LINES_TYPE]);
  whole.end(trainOf(BYTES, cutsOf(100_000, 600).slice(100)));
  assert.equal((JSON.parse((await text(whole)).trim().split('\n').at(-1) ?? '') as Outcome).status, 'complete');
  const bad = open('POST', path('b'), fields);
  bad.write(trainOf(BYTES, [[0, 9]]));
  await once(bad, 'response');
  bad.write(encodeTrainChunk(5, Buffer.from('other')));
  const problem = JSON.parse((await text(bad)).trim().split('\n').at(-1) ?? '') as Outcome;
  assert.deepEqual([problem.code, problem.committed_chunks], ['chunk_conflict', 1]);
  const broken = open('POST', path('c'), { 'content-type': TRAIN_TYPE });
  broken.on('error', () => {});
  broken.write(
    trainOf(BYTES, [
      [0, 99],
      [200, 299],
    ]),
  );
  broken.write(trainOf(BYTES, [[300, 399]]).subarray(0, 50));
  await eventually(async () => (await status('c')).bytes_received === 200, 'both whole chunks');
  broken.close(8);
  await eventually(() => server.app.engine.gauges().receiving === 0, 'the end of the train');
  assert.equal((await status('c')).bytes_received, 200);
});

test('a client that reads no line is not waited for, and is not cut off while it sends', async (t) => {
  const { open, status } = await session(t, { LADING_IDLE_SECONDS: '3' }, 1000);
  const fields = { 'content-type': TRAIN_TYPE, accept: LINES_TYPE };
  const stream = open('POST', '/api/files/upload?filename=a&total_size=100000', fields);
  stream.on('error', () => {});
  stream.pause();
  // Every other byte is a chunk, so that a line has many ranges. The window and the buffers hold far less than all lines.
  const groups = 60;
  for (let group = 0; group < groups; group += 1) {
    const cuts = Array.from({ length: 100 }, (_, index): [number, number] => {
      const at = 2 * (100 * group + index);
      return [at, at];
    });
    stream.write(trainOf(BYTES, cuts));
    const expected = (group + 1) * 100;
    await eventually(async () => (await status('a')).bytes_received === expected, `${expected} bytes`);
    if (group % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 500));
  }
  let read = '';
  stream.on('data', (piece: Buffer) => {
    read += piece.toString();
  });
  stream.resume().end();
  await once(stream, 'end');
  const rows = read
    .trim()
    .split('\n')
    .map((row) => JSON.parse(row) as Outcome & { committed?: unknown[]; committed_more?: boolean });
  assert.ok(rows.length < groups / 2, `${rows.length} lines`);
  assert.deepEqual([rows.at(-1)?.status, rows.at(-1)?.committed_chunks], ['partial', 6000]);
  // The line that waited has as many ranges as a line may have.
  assert.deepEqual([rows.at(-2)?.committed?.length, rows.at(-2)?.committed_more], [1000, true]);
  assert.equal(rows.at(-2)?.committed_chunks, 6000);
});

/** Bytes of live objects. */
function liveBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test('a train of 200,000 chunks needs the memory of one connection', async (t) => {
  const server = await startServer(t);
  const count = 200_000;
  const train = openTrain(server, `a&total_size=${count * 16}`, { accept: LINES_TYPE });
  const block = (from: number, to: number): Buffer => {
    const data = Buffer.alloc(16);
    const chunks: Uint8Array[] = [];
    for (let chunk = from; chunk < to; chunk += 1) {
      data.writeUInt32BE(chunk);
      chunks.push(encodeTrainChunk(chunk * 16, data));
    }
    return Buffer.concat(chunks);
  };
  const send = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += 2000) if (!train.write(block(at, at + 2000))) await once(train, 'drain');
    await has(server, 'a', to * 16);
  };
  const ended = outcomeOf(train);
  await send(0, 40_000);
  const before = liveBytes();
  await send(40_000, count);
  const grown = liveBytes() - before;
  train.end();
  const { outcome } = await ended;
  assert.deepEqual([outcome.status, outcome.committed_chunks], ['complete', count]);
  assert.ok(grown < 4 * MIB, `${grown} bytes more are alive after 160,000 more chunks`);
  const stored = await download(server, 'a');
  assert.equal(stored.readUInt32BE((count - 1) * 16), count - 1);
});
