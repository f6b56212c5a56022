/** Trains that break, in any order, and beside others: whatever arrives whole counts, and nothing else. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { LINES_TYPE, TRAIN_CRC32_TYPE, TRAIN_TYPE } from '../../../src/protocol/train.ts';
import { eventually } from '../../support/eventually.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { seeded } from '../../support/random.ts';
import { cutsOf, download, fileStatus, sendTrain, trainOf } from '../../support/wire/trains.ts';
import { Wire } from '../../support/wire/wire.ts';

const BYTES = Buffer.from('abcdefghijklmnopqrstuvwxyz');
const CUTS: [number, number][] = [
  [0, 3],
  [10, 10],
  [4, 9],
  [11, 19],
  [20, 25],
];

/** Sends the first `sent` bytes of a train of unknown length and leaves. */
async function breakAfter(server: TestServer, name: string, train: Uint8Array, sent: number): Promise<void> {
  const wire = await Wire.open(server.port);
  wire.head(
    `POST /api/files/upload?filename=${name}&total_size=26 HTTP/1.1`,
    'Host: x',
    `Authorization: ${server.client.headers.authorization}`,
    `Content-Type: ${TRAIN_CRC32_TYPE}`,
    `Content-Length: ${train.length + 1}`,
  );
  wire.send(train.subarray(0, sent));
  // Everything sent before arrives, and then the end that comes too early.
  wire.socket.end();
  await wire.closed();
}

test('a train that breaks at any byte leaves the chunks that came whole, and the rest completes it', async (t) => {
  const server = await startServer(t);
  const train = trainOf(BYTES, CUTS, true);
  const ends = CUTS.map((_, index) => trainOf(BYTES, CUTS.slice(0, index + 1), true).length);
  await Promise.all(
    Array.from({ length: train.length + 1 }, async (_, sent) => {
      const name = `cut${sent}`;
      await breakAfter(server, name, train, sent);
      const whole = ends.filter((end) => end <= sent).length;
      const expected = CUTS.slice(0, whole).reduce((sum, [start, end]) => sum + end - start + 1, 0);
      await eventually(
        async () => (await fileStatus(server, name)).bytes_received === expected,
        `${name}: ${expected}`,
      );
      if (whole < CUTS.length && sent % 5 !== 0) return;
      const rest = await sendTrain(server, `${name}&total_size=26`, trainOf(BYTES, CUTS.slice(whole)));
      assert.equal(rest.outcome.status, 'complete', name);
      assert.deepEqual(await download(server, name), BYTES);
    }),
  );
  await eventually(() => server.app.engine.gauges().receiving === 0, 'no body is left open');
  const { segments_small_in_use: small, segments_large_in_use: large } = server.app.engine.gauges();
  assert.deepEqual([small, large], [0, 0]);
});

/** Ranges that together are the file, in any order, some of them twice or overlapping others. */
function plans(): fc.Arbitrary<{
  length: number;
  cuts: [number, number][];
  crc: boolean;
  declared: boolean;
  split: number;
}> {
  return fc
    .record({
      length: fc.integer({ min: 1, max: 200_000 }),
      marks: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 }),
      again: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 100_000 })), {
        maxLength: 8,
      }),
      order: fc.infiniteStream(fc.nat()),
      crc: fc.boolean(),
      declared: fc.boolean(),
      split: fc.integer({ min: 1, max: 70_000 }),
    })
    .map(({ length, marks, again, order, crc, declared, split }) => {
      const starts = [...new Set([0, ...marks.map((mark) => Math.floor(mark * (length - 1)))])].sort((a, b) => a - b);
      const cuts = starts.map((start, index): [number, number] => [start, (starts[index + 1] ?? length) - 1]);
      for (const [mark, size] of again) {
        const start = Math.floor(mark * (length - 1));
        cuts.push([start, Math.min(length, start + size) - 1]);
      }
      const keys = cuts.map(() => order.next().value as number);
      const shuffled = cuts.map((cut, index) => [keys[index] ?? 0, cut] as const).sort(([a], [b]) => a - b);
      return { length, cuts: shuffled.map(([, cut]) => cut), crc, declared, split };
    });
}

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  return cutsOf(bytes.length, size).map(([start, end]) => bytes.subarray(start, end + 1));
}

test('chunks of any sizes in any order, repeated and overlapping, in pieces of any size, make the file', async (t) => {
  const server = await startServer(t);
  const content = randomBytes(200_000);
  const seed = seeded(t).int(1, 2 ** 30);
  t.diagnostic(`fast-check seed ${seed}`);
  let number = 0;
  await fc.assert(
    fc.asyncProperty(plans(), async ({ length, cuts, crc, declared, split }) => {
      number += 1;
      const bytes = content.subarray(0, length);
      const query = declared ? `f${number}&total_size=${length}` : `f${number}`;
      const sent = pieces(trainOf(bytes, cuts, crc), split);
      const { status, outcome, lines } = await sendTrain(server, query, sent, {
        hasCrc32: crc,
        lines: number % 2 === 0,
      });
      assert.equal(status, 200, JSON.stringify(outcome));
      assert.deepEqual(
        [outcome.status, outcome.committed_chunks, outcome.total_bytes],
        ['complete', cuts.length, length],
      );
      const listed = lines
        .flatMap(({ committed }) => committed)
        .reduce((sum, [start, end]) => sum + end - start + 1, 0);
      if (number % 2 === 0)
        assert.equal(
          listed,
          cuts.reduce((sum, [start, end]) => sum + end - start + 1, 0),
        );
      assert.deepEqual(await download(server, `f${number}`), bytes);
    }),
    { numRuns: 40, seed },
  );
});

test('trains and single chunks of one file at once wait for each other and never for ever', async (t) => {
  const server = await startServer(t);
  const random = seeded(t);
  const bytes = randomBytes(300_000);
  const cuts = [...cutsOf(100_000, 500), ...cutsOf(300_000, 7_000).slice(14), [90_000, 210_000] as [number, number]];
  const single = async ([start, end]: [number, number]): Promise<void> => {
    const reply = await fetch(`${server.origin}/api/files/upload?filename=a&total_size=300000`, {
      method: 'POST',
      headers: { ...server.client.headers, 'content-type': 'application/octet-stream' },
      body: encodeChunk(start, bytes.subarray(start, end + 1)),
    });
    assert.equal(reply.status, 200, await reply.text());
  };
  const trains = Array.from({ length: 6 }, async (_, index) => {
    const order = random.shuffled([...cuts, ...cuts]);
    const sent = pieces(trainOf(bytes, order), 10_000 + 3_000 * index);
    const { status, outcome } = await sendTrain(server, 'a&total_size=300000', sent, { lines: index % 2 === 0 });
    assert.deepEqual([status, outcome.status, outcome.committed_chunks], [200, 'complete', order.length]);
  });
  const chunks = random.shuffled(cuts).slice(0, 60).map(single);
  await Promise.all([...trains, ...chunks]);
  assert.deepEqual(await download(server, 'a'), bytes);
  const { segments_small_in_use: small, segments_large_in_use: large } = server.app.engine.gauges();
  assert.deepEqual([small, large], [0, 0]);
});

/** A connection over which a train is sent by hand. */
async function openTrain(server: TestServer, query: string, ...fields: string[]): Promise<Wire> {
  const wire = await Wire.open(server.port);
  return wire.head(
    `POST /api/files/upload?filename=${query} HTTP/1.1`,
    'Host: x',
    `Authorization: ${server.client.headers.authorization}`,
    `Content-Type: ${TRAIN_TYPE}`,
    ...fields,
  );
}

async function receiving(server: TestServer, count: number): Promise<void> {
  await eventually(() => server.app.engine.gauges().receiving === count, `${count} bodies are open`);
}

test('a train waits for the chunk of another request, and the chunk of its own that it repeats', async (t: TestContext) => {
  const server = await startServer(t);
  const slow = await openTrain(server, 'a&total_size=26', 'Content-Length: 1000');
  const large = await Wire.open(server.port);
  const chunk = encodeChunk(0, BYTES.subarray(0, 10));
  large.head(
    'POST /api/files/upload?filename=a&total_size=26 HTTP/1.1',
    'Host: x',
    `Authorization: ${server.client.headers.authorization}`,
    'Content-Type: application/octet-stream',
    `Content-Length: ${chunk.length}`,
  );
  large.send(chunk.subarray(0, 20));
  await receiving(server, 2);
  slow.send(
    trainOf(BYTES, [
      [20, 25],
      [20, 25],
      [5, 14],
    ]),
  );
  await eventually(async () => (await fileStatus(server, 'a')).bytes_received === 6, 'chunks before it count');
  large.send(chunk.subarray(20));
  assert.equal((await large.response()).status, 200);
  await eventually(async () => (await fileStatus(server, 'a')).bytes_received === 21, 'the train goes on');
  slow.send(trainOf(BYTES, [[15, 19]]));
  await eventually(async () => (await fileStatus(server, 'a')).status === 'complete', 'the last gap is closed');
  slow.destroy();
  large.destroy();
});

test('Expect: 100-continue is answered before the body, or refused instead of it', async (t) => {
  const server = await startServer(t);
  const train = trainOf(BYTES, CUTS);
  const wire = await openTrain(server, 'a&total_size=26', 'Expect: 100-continue', `Content-Length: ${train.length}`);
  assert.equal((await wire.response()).status, 100);
  assert.equal((await wire.send(train).response()).status, 200);
  wire.destroy();
  const refused = await openTrain(
    ...([server, 'a&total_size=27', 'Expect: 100-continue', `Accept: ${LINES_TYPE}`] as const),
    `Content-Length: ${train.length}`,
  );
  assert.equal((await refused.response()).status, 409);
  refused.destroy();
});

test('a Repr-Digest behind the train is verified before the file is complete', async (t) => {
  const server = await startServer(t);
  const train = trainOf(BYTES, CUTS);
  for (const [name, content, code] of [
    ['right', BYTES, undefined],
    ['wrong', train, 'digest_mismatch'],
  ] as const) {
    const wire = await openTrain(server, `${name}&total_size=26`, 'Transfer-Encoding: chunked', 'Trailer: Repr-Digest');
    const digest = createHash('sha256').update(content).digest('base64');
    wire
      .send(`${train.length.toString(16)}\r\n`)
      .send(train)
      .send(`\r\n0\r\nRepr-Digest: sha-256=:${digest}:\r\n\r\n`);
    const { body } = await wire.response();
    assert.equal((JSON.parse(body) as { code?: string }).code, code, body);
    assert.equal((await fileStatus(server, name)).status, code ? 'pending' : 'complete');
    wire.destroy();
  }
});
