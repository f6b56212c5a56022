/** Clients that stall or trickle (PROTOCOL §6) get an answer that they can read, and none of their bytes are stored. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { clockOf } from '../../support/product/clock.ts';
import { content, settle, turnsUntil } from '../../support/product/device.ts';
import { startServer, type TestServer, type TestSettings } from '../../support/product/server.ts';
import { assertProblem, Wire, type WireResponse } from '../../support/wire/wire.ts';

const BOUNDARY = 'xxBOUNDARYxx';
const PART = Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`);
const END = Buffer.from(`\r\n--${BOUNDARY}--\r\n`);

type Kind = 'raw' | 'form';
const KINDS: readonly Kind[] = ['raw', 'form'];

/** The body with a chunk. */
function bodyOf(kind: Kind, chunk: Uint8Array): Buffer {
  return kind === 'raw' ? Buffer.from(chunk) : Buffer.concat([PART, chunk, END]);
}

/** The header section of an upload without its body. */
async function begin({ port, client }: TestServer, kind: Kind, query: string, length: number): Promise<Wire> {
  const wire = await Wire.open(port);
  return wire.head(
    `POST /api/files/upload?${query} HTTP/1.1`,
    'Host: localhost',
    `Authorization: ${client.headers.authorization}`,
    `Content-Type: ${kind === 'raw' ? 'application/octet-stream' : `multipart/form-data; boundary=${BOUNDARY}`}`,
    `Content-Length: ${length}`,
  );
}

async function upload(server: TestServer, kind: Kind, query: string, chunk: Uint8Array): Promise<WireResponse> {
  const body = bodyOf(kind, chunk);
  const wire = await begin(server, kind, query, body.length);
  try {
    return await wire.send(body).response();
  } finally {
    wire.destroy();
  }
}

async function statusOf({ origin, client }: TestServer, name: string): Promise<FileStatus> {
  const reply = await fetch(`${origin}/api/files/status/${name}`, { headers: client.headers });
  return (await reply.json()) as FileStatus;
}

async function downloaded({ origin, client }: TestServer, name: string): Promise<Buffer> {
  const reply = await fetch(`${origin}/api/files/download/${name}`, { headers: client.headers });
  assert.equal(reply.status, 200);
  return Buffer.from(await reply.arrayBuffer());
}

/** The part of a chunk of `size` bytes at 10 that is sent before the stall, and the declared length. */
const SILENCES = [
  { what: 'before its first byte', size: 1000, sent: 0 },
  { what: 'in its header', size: 1000, sent: 9 },
  { what: 'in its data', size: 1000, sent: 500 },
  { what: 'in the data of a large one', size: 3_000_000, sent: 1_500_000 },
  { what: 'before its last byte', size: 1000, sent: 1016 },
];

test('a chunk that stalls is answered with 408, and the upload can continue', async (t) => {
  const server = await startServer(t, { LADING_IDLE_SECONDS: '1' });
  const silence = async (kind: Kind, { what, size, sent }: (typeof SILENCES)[number], seed: number): Promise<void> => {
    const name = `f${seed}`;
    const total = 10 + size;
    const query = `filename=${name}&total_size=${total}`;
    const first = await upload(server, kind, query, encodeChunk(0, content(0, 10, seed)));
    assert.equal(first.status, 200, first.body);
    const chunk = encodeChunk(10, content(10, size, seed));
    const body = bodyOf(kind, chunk);
    const silent = await begin(server, kind, query, body.length);
    silent.send(body.subarray(0, (kind === 'raw' ? 0 : PART.length) + sent));
    assertProblem(await silent.response(), 'request_timeout');
    // Its range can be sent again at once, before the connection closes.
    assert.deepEqual((await statusOf(server, name)).missing, [[10, total - 1]], what);
    const again = await upload(server, kind, query, chunk);
    assert.equal(again.status, 200, `${what}: ${again.body}`);
    assert.deepEqual(await downloaded(server, name), Buffer.from(content(0, total, seed)), what);
    await silent.closed();
  };
  const all = KINDS.flatMap((kind) => SILENCES.map((one) => ({ kind, one })));
  await Promise.all(all.map(({ kind, one }, seed) => silence(kind, one, seed)));
});

/** A server whose clock the test sets, with a count of the bytes that reached it. */
interface Timed extends TestServer {
  /** Advances the clock second by second. In each, every client sends its bytes, and then the server checks all of them. */
  pass(seconds: number, ...senders: Sender[]): Promise<void>;
  /** Advances the clock until the first client has its answer. */
  answered(first: Sender, ...others: Sender[]): Promise<WireResponse>;
}

/** Longer than any limit of these tests. */
const PATIENCE_SECONDS = 400;

interface Sender {
  wire: Wire;
  /** The bytes that it has not sent. */
  rest: Buffer;
  perSecond: number;
}

async function startTimed(t: TestContext, settings: TestSettings): Promise<Timed> {
  t.mock.timers.enable({ apis: ['setInterval'] });
  let now = Date.now();
  const server = await startServer(t, settings, { clock: clockOf(() => now) });
  const sockets = new Map<number | undefined, Socket>();
  server.app.server.server.on('connection', (socket: Socket) => sockets.set(socket.remotePort, socket));
  /** Resolves when the server has read all bytes that were sent. */
  const arrived = async ({ socket }: Wire): Promise<void> => {
    const { localPort } = socket;
    await turnsUntil(() => sockets.get(localPort)?.bytesRead === socket.bytesWritten, 'the bytes');
  };
  const pass: Timed['pass'] = async (seconds, ...senders) => {
    for (let second = 0; second < seconds; second += 1) {
      for (const sender of senders) {
        const piece = sender.rest.subarray(0, sender.perSecond);
        sender.rest = sender.rest.subarray(piece.length);
        if (piece.length > 0 && !sender.wire.socket.destroyed) sender.wire.send(piece);
      }
      await Promise.all(senders.map(({ wire }) => (wire.socket.destroyed ? undefined : arrived(wire))));
      // From the socket through the form to the engine.
      await settle(4);
      now += 1000;
      t.mock.timers.tick(1000);
    }
  };
  const answered: Timed['answered'] = async (first, ...others) => {
    let over = false;
    const answer = first.wire.response().finally(() => {
      over = true;
    });
    // The test reads it at the end.
    answer.catch(() => {});
    for (let seconds = 0; !over; seconds += 1) {
      assert.ok(seconds < PATIENCE_SECONDS, 'no answer');
      await pass(1, first, ...others);
    }
    return await answer;
  };
  return { ...server, pass, answered };
}

for (const kind of KINDS) {
  test(`a ${kind} chunk below the minimum rate is ended, and one above it may take any time`, async (t) => {
    const server = await startTimed(t, { LADING_IDLE_SECONDS: '10', LADING_MIN_BYTES_PER_SECOND: '100' });
    const sender = async (name: string, size: number, perSecond: number): Promise<Sender> => {
      const rest = bodyOf(kind, encodeChunk(0, content(0, size)));
      return { wire: await begin(server, kind, `filename=${name}&total_size=${size}`, rest.length), rest, perSecond };
    };
    const slow = await sender('slow', 20_000, 90);
    const steady = await sender('steady', 20_000, 110);
    for (const one of [slow, steady]) {
      one.wire.send(one.rest.subarray(0, 200));
      one.rest = one.rest.subarray(200);
    }
    await turnsUntil(() => server.app.engine.gauges().receiving === 2, 'both chunks');
    const answer = assertProblem(await server.answered(slow, steady), 'request_timeout');
    assert.match(answer.detail, /slower than 100 bytes a second/);
    assert.equal((await statusOf(server, 'slow')).status, 'pending');
    assert.equal((await statusOf(server, 'steady')).status, 'pending');
    await server.pass(Math.ceil(steady.rest.length / 110), steady);
    const done = await steady.wire.response();
    assert.equal(done.status, 200, done.body);
    assert.deepEqual(await downloaded(server, 'steady'), Buffer.from(content(0, 20_000)));
    slow.wire.destroy();
    steady.wire.destroy();
    const again = await upload(server, kind, 'filename=slow&total_size=20000', encodeChunk(0, content(0, 20_000)));
    assert.equal(again.status, 200, again.body);
  });
}

/** The places outside the chunk where a form can be slow. */
const AROUND = [
  { where: 'before', head: Buffer.alloc(0), slow: Buffer.concat([Buffer.alloc(10_000, '\r\n'), PART]) },
  {
    where: 'after',
    head: Buffer.concat([PART, encodeChunk(0, content(0, 10)), END]),
    slow: Buffer.alloc(10_000, ' '),
  },
];

for (const { where, head, slow } of AROUND) {
  test(`a form below the minimum rate ${where} its chunk is ended, and nothing of it is stored`, async (t) => {
    const server = await startTimed(t, { LADING_IDLE_SECONDS: '10', LADING_MIN_BYTES_PER_SECOND: '100' });
    const query = 'filename=f&total_size=10';
    const wire = await begin(server, 'form', query, head.length + slow.length);
    wire.send(head);
    const answer = assertProblem(await server.answered({ wire, rest: slow, perSecond: 20 }), 'request_timeout');
    assert.match(answer.detail, /slower than 100 bytes a second/);
    wire.destroy();
    assert.equal((await statusOf(server, 'f')).status, 'pending');
    const again = await upload(server, 'form', query, encodeChunk(0, content(0, 10)));
    assert.equal(again.status, 200, again.body);
  });
}
