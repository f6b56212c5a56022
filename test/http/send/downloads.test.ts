import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type FileHandle, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type Http2ServerResponse,
} from 'node:http2';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Reader } from '../../../src/contracts/blobs.ts';
import { LadingError } from '../../../src/errors.ts';
import type { Block } from '../../../src/http/send/block-pool.ts';
import { Downloads, type PumpOptions } from '../../../src/http/send/downloads.ts';
import type { Outcome } from '../../../src/http/send/response-writer.ts';
import { type Piece, PiecesSource, Truncated } from '../../../src/http/send/sources.ts';
import { eventually } from '../../support/eventually.ts';
import { content } from '../../support/product/device.ts';

const MIB = 1024 ** 2;
const DEFAULTS: PumpOptions = { bytes: 8 * MIB, idleMs: 60_000 };

interface Bench {
  pump: Downloads;
  port: number;
  bytes: Uint8Array;
  file: FileHandle;
  outcomes: Outcome[];
  refusals: LadingError[];
}

/** A server that answers every request with these pieces of a real file. */
async function startBench(
  t: TestContext,
  options: Partial<PumpOptions> & { bytesOfFile?: number; http2?: boolean; pieces?: Piece[] } = {},
): Promise<Bench> {
  const { bytesOfFile = 3 * MIB + 17, http2 = false, pieces = [{ start: 0, end: bytesOfFile - 1 }], ...rest } = options;
  const folder = await mkdtemp(join(tmpdir(), 'lading-pump-'));
  const path = join(folder, 'file');
  const bytes = content(0, bytesOfFile);
  await writeFile(path, bytes);
  const file = await open(path, 'r+');
  const pump = new Downloads({ ...DEFAULTS, ...rest });
  const outcomes: Outcome[] = [];
  const refusals: LadingError[] = [];
  const reader: Reader = {
    read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
    release: () => undefined,
  };
  const handler = async (response: ServerResponse | Http2ServerResponse): Promise<void> => {
    const source = new PiecesSource(reader, pieces);
    try {
      const transfer = await pump.begin(response, source);
      outcomes.push(await transfer.send(200, { 'content-length': new PiecesSource(reader, pieces).remaining }));
    } catch (error) {
      assert.ok(error instanceof LadingError, String(error));
      refusals.push(error);
      response.writeHead(error.status);
      response.end();
    }
  };
  const server = http2
    ? createHttp2Server((_request, response) => void handler(response))
    : createServer((_request, response) => void handler(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<Socket>();
  (server as Server).on('connection', (socket) => sockets.add(socket));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await eventually(() => pump.active === 0, 'the end of all transfers');
    await file.close();
    await rm(folder, { recursive: true });
  });
  return { pump, port: (server.address() as AddressInfo).port, bytes, file, outcomes, refusals };
}

async function download(port: number): Promise<Buffer> {
  const [response] = (await once(get({ port, host: '127.0.0.1', agent: false }), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** A client that asks and reads nothing. */
async function stalled(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.pause();
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  return socket;
}

function assertIdle({ pump }: Bench): void {
  assert.equal(pump.pool.lent, 0);
  assert.equal(pump.pool.waiting, 0);
  assert.equal(pump.active, 0);
}

test('a whole file, whatever the largest block', async (t) => {
  for (const mostBlock of [4096, 64 * 1024, MIB]) {
    const bench = await startBench(t, { mostBlock });
    assert.deepEqual(await download(bench.port), Buffer.from(bench.bytes));
    await eventually(() => bench.pump.active === 0, 'all quiet');
    assert.deepEqual(bench.outcomes, [{ kind: 'sent' }]);
    assertIdle(bench);
  }
});

test('an empty body', async (t) => {
  const bench = await startBench(t, { pieces: [] });
  assert.equal((await download(bench.port)).length, 0);
  await eventually(() => bench.pump.active === 0, 'all quiet');
  assertIdle(bench);
});

test('any pieces come out in their order', async () => {
  const file = content(0, 5_000);
  const reader: Reader = {
    read: async (into, position) => {
      const piece = file.subarray(position, position + into.length);
      into.set(piece);
      return piece.length;
    },
    release: () => undefined,
  };
  const extent = fc
    .tuple(fc.nat(file.length - 1), fc.nat(file.length - 1))
    .map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }));
  const piece = fc.oneof(extent, fc.uint8Array({ maxLength: 300 }));
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.integer({ min: 1, max: 900 }), async (pieces, block) => {
      const expected = Buffer.concat(
        pieces.map((each) => (each instanceof Uint8Array ? each : file.subarray(each.start, each.end + 1))),
      );
      const source = new PiecesSource(reader, pieces);
      assert.equal(source.remaining, expected.length);
      const got: Buffer[] = [];
      const into = Buffer.alloc(block);
      for (let length = await source.fill(into); length > 0; length = await source.fill(into)) {
        got.push(Buffer.from(into.subarray(0, length)));
      }
      assert.equal(source.remaining, 0);
      assert.deepEqual(Buffer.concat(got), expected);
    }),
    { numRuns: 50 },
  );
});

test('many requests on one connection leave nothing behind on it', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 1000 });
  const warned = t.mock.method(process, 'emitWarning');
  const socket = connect({ port: bench.port, host: '127.0.0.1' });
  let received = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.toString('latin1').split('HTTP/1.1 200').length - 1;
  });
  // All at once: answers wait for the ones before them.
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(60));
  await eventually(() => received === 60, 'sixty answers');
  await eventually(() => bench.pump.active === 0, 'all quiet');
  assert.deepEqual(bench.outcomes, new Array(60).fill({ kind: 'sent' }));
  assertIdle(bench);
  socket.destroy();
  assert.equal(warned.mock.callCount(), 0);
});

test('a client that leaves mid-way, or before its turn, frees everything', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 32 * MIB });
  const one = await stalled(bench.port);
  const two = await stalled(bench.port);
  // A second request behind the first one's answer, which never ends.
  one.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => bench.pump.active === 3 && bench.pump.pool.lent > 0, 'the stall');
  one.destroy();
  two.resetAndDestroy();
  await eventually(() => bench.outcomes.length === 3, 'three ends');
  assert.deepEqual(bench.outcomes, new Array(3).fill({ kind: 'left' }));
  assertIdle(bench);
});

test('HTTP/2: whole files side by side, and a stream that is reset frees everything', async (t) => {
  const bench = await startBench(t, { http2: true });
  const session = connectHttp2(`http://127.0.0.1:${bench.port}`);
  // The server's sockets are closed first when the test ends.
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  const ask = async (): Promise<Buffer> => {
    const stream = session.request({ ':path': '/' });
    const pieces: Buffer[] = [];
    for await (const piece of stream) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  };
  for (const got of await Promise.all([ask(), ask(), ask()])) assert.deepEqual(got, Buffer.from(bench.bytes));
  for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]) {
    const before = bench.outcomes.length;
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => undefined);
    stream.pause();
    await once(stream, 'response');
    await eventually(() => bench.pump.pool.lent > 0, 'the stall');
    stream.close(code);
    await eventually(() => bench.outcomes.length > before, 'the end of the stream');
    assert.deepEqual(bench.outcomes.at(-1), { kind: 'left' });
    await eventually(() => bench.pump.pool.lent === 0, 'the block');
    assertIdle(bench);
  }
  assert.deepEqual(await ask(), Buffer.from(bench.bytes), 'the connection goes on');
});

test('a client that takes nothing is cut, and knows that bytes are missing', async (t) => {
  for (const http2 of [false, true]) {
    const bench = await startBench(t, { bytesOfFile: 32 * MIB, idleMs: 200, http2 });
    if (http2) {
      const session = connectHttp2(`http://127.0.0.1:${bench.port}`);
      session.on('error', () => undefined);
      t.after(() => session.destroy());
      const stream = session.request({ ':path': '/' });
      stream.on('error', () => undefined);
      stream.pause();
      await new Promise((resolve) => stream.once('close', resolve));
      assert.notEqual(stream.rstCode, 0);
    } else {
      const socket = await stalled(bench.port);
      await eventually(() => bench.outcomes.length === 1, 'the cut');
      let received = 0;
      socket.on('data', (piece: Buffer) => {
        received += piece.length;
      });
      socket.resume();
      await once(socket, 'close');
      assert.ok(received < 32 * MIB);
    }
    await eventually(() => bench.outcomes.length === 1, 'the cut');
    assert.deepEqual(bench.outcomes, [{ kind: 'idle' }]);
    assertIdle(bench);
  }
});

test('a slow client that goes on reading is not cut', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 12 * MIB, idleMs: 1500 });
  const socket = await stalled(bench.port);
  let received = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.length;
    socket.pause();
    setTimeout(() => socket.resume(), 15);
  });
  socket.resume();
  await eventually(() => bench.outcomes.length === 1, 'the end');
  assert.deepEqual(bench.outcomes, [{ kind: 'sent' }]);
  socket.removeAllListeners('data').resume();
  assert.ok(received > 0);
});

test('stalled clients hold at most the budget, and a fast one still gets everything', async (t) => {
  const bench = await startBench(t, { bytes: MIB, bytesOfFile: 6 * MIB });
  const crowd = await Promise.all(Array.from({ length: 40 }, () => stalled(bench.port)));
  await eventually(() => bench.pump.active === 40, 'the stall');
  assert.deepEqual(await download(bench.port), Buffer.from(bench.bytes));
  assert.ok(bench.pump.pool.lent <= MIB);
  await eventually(() => bench.pump.active === 40, 'the end of the fast one alone');
  assert.deepEqual(bench.outcomes, [{ kind: 'sent' }]);
  for (const socket of crowd) socket.destroy();
  await eventually(() => bench.pump.active === 0, 'all quiet');
  assertIdle(bench);
});

/** Takes all memory that newcomers may have but so much. */
function drain({ pool }: Downloads, leave: number): Block[] {
  const taken: Block[] = [];
  while (pool.budget / 2 - pool.lent > leave) taken.push(pool.take(1, false) as Block);
  return taken;
}

test('no memory for long: refused as overloaded, with a time to come back', async (t) => {
  const bench = await startBench(t, { bytes: MIB, patienceMs: 30 });
  const taken = drain(bench.pump, 0);
  const [response] = (await once(get({ port: bench.port, agent: false }), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 503);
  assert.equal(bench.refusals[0]?.code, 'overloaded');
  assert.ok(Number(bench.refusals[0]?.members.retry_after) > 0);
  for (const block of taken) bench.pump.pool.give(block);
  assertIdle(bench);
});

test('while others wait for memory, who holds it without moving is cut', async (t) => {
  const bench = await startBench(t, { bytes: MIB, bytesOfFile: 6 * MIB, heldMs: 100, patienceMs: 60_000 });
  const taken = drain(bench.pump, 8 * 1024);
  await stalled(bench.port);
  await stalled(bench.port);
  await eventually(() => bench.pump.pool.lent === MIB / 2, 'the stall');
  // Nobody waits: nobody is cut.
  assert.equal(bench.outcomes.length, 0);
  assert.deepEqual(await download(bench.port), Buffer.from(bench.bytes));
  assert.ok(bench.outcomes.some((outcome) => outcome.kind === 'idle'));
  for (const block of taken) bench.pump.pool.give(block);
});

test('a file that became shorter: the client is cut, and what happened is told', async (t) => {
  const bench = await startBench(t, { bytesOfFile: 16 * MIB });
  const socket = await stalled(bench.port);
  await eventually(() => bench.pump.pool.lent > 0, 'the stall');
  await bench.file.truncate(12 * MIB);
  let received = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.length;
  });
  socket.resume();
  await once(socket, 'close');
  await eventually(() => bench.outcomes.length === 1, 'the outcome');
  const [outcome] = bench.outcomes;
  assert.ok(outcome?.kind === 'failed', 'it was cut as failed');
  assert.ok(outcome.error instanceof Truncated);
  assert.ok(received < 13 * MIB);
  assertIdle(bench);
});
