/**
 * Random chunks over real connections: in any order and size, overlapping, repeated and conflicting, on several connections that break
 * anywhere in the message or before the answer. The outcome matches a simple model: a chunk is stored completely or not at all, stored bytes
 * never change, and only acknowledged bytes are served.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeChunk } from '../../../src/protocol/chunk.ts';
import { crc32, hex32 } from '../../../src/protocol/crc32.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';
import { startServer, type TestServer } from '../../support/product/server.ts';
import { assertProblem, Wire, type WireResponse } from '../../support/wire/wire.ts';

interface Sending {
  start: number;
  length: number;
  /** One of two contents, which differ in one byte of `EVERY`. */
  variant: 0 | 1;
  /** The fraction of the message that is sent before the connection breaks. 1: all of it, and the answer is lost. Null: no break. */
  breaksAfter: number | null;
  /** True for a reset, false for an orderly close. */
  reset: boolean;
}

interface Plan {
  size: number;
  declared: boolean;
  connections: number;
  sendings: Sending[];
}

/** Overlaps of the two contents are sometimes equal and sometimes not. */
const EVERY = 20_000;

function contentOf(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed | 1;
  for (let i = 0; i < size; i += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

function contradicting(content: Buffer): Buffer {
  const bytes = Buffer.from(content);
  for (let i = EVERY / 2; i < bytes.length; i += EVERY) bytes[i] = (bytes[i] ?? 0) ^ 0xff;
  return bytes;
}

const plan: fc.Arbitrary<Plan> = fc
  .record({
    size: fc.integer({ min: 1, max: 300_000 }),
    declared: fc.boolean(),
    connections: fc.integer({ min: 1, max: 5 }),
  })
  .chain(({ size, declared, connections }) =>
    fc
      .array(
        fc.record({
          start: fc.nat({ max: size - 1 }),
          length: fc.integer({ min: 1, max: Math.max(1, Math.ceil(size / 3)) }),
          variant: fc.constantFrom<0 | 1>(0, 0, 1),
          breaksAfter: fc.option(fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), fc.constant(1)), { freq: 3 }),
          reset: fc.boolean(),
        }),
        { maxLength: 25 },
      )
      .map((sendings) => ({
        size,
        declared,
        connections,
        sendings: sendings.map((one) => ({ ...one, length: Math.min(one.length, size - one.start) })),
      })),
  );

/**
 * The file as an array of cells. Concurrent requests may run in any order, so refusals are checked after all requests: stored bytes never
 * change, so that a conflict still shows then.
 */
class Model {
  readonly cells: (number | null)[];
  readonly #refused: { start: number; data: Buffer; code: string }[] = [];
  readonly #declared: boolean;

  constructor(size: number, declared: boolean) {
    this.cells = Array<number | null>(size).fill(null);
    this.#declared = declared;
  }

  acknowledged(start: number, data: Buffer): void {
    for (const [i, byte] of data.entries()) {
      const before = this.cells[start + i] ?? null;
      assert.ok(before === null || before === byte, `byte ${start + i} was acknowledged with two values`);
      this.cells[start + i] = byte;
    }
  }

  refused(start: number, data: Buffer, code: string): void {
    this.#refused.push({ start, data, code });
  }

  get refusals(): number {
    return this.#refused.length;
  }

  /** Checks that every refusal was justified. */
  check(): void {
    for (const { start, data, code } of this.#refused) {
      const conflicts = data.some((byte, i) => (this.cells[start + i] ?? byte) !== byte);
      assert.ok(conflicts, `${start}-${start + data.length - 1} was refused and contradicts nothing`);
      if (code === 'file_complete') assert.ok(this.#declared && this.cells.every((cell) => cell !== null));
      else assert.equal(code, 'chunk_conflict');
    }
  }

  get end(): number {
    return this.cells.findLastIndex((cell) => cell !== null) + 1;
  }

  get bytes(): number {
    return this.cells.filter((cell) => cell !== null).length;
  }

  /** Inclusive stretches of cells that are stored, or not, below `limit`. */
  runs(stored: boolean, limit: number): [number, number][] {
    const runs: [number, number][] = [];
    for (let at = 0; at < limit; at += 1) {
      if ((this.cells[at] !== null) !== stored) continue;
      const last = runs.at(-1);
      if (last && last[1] === at - 1) last[1] = at;
      else runs.push([at, at]);
    }
    return runs;
  }
}

/** One connection of a device, which is opened again after every break. */
class Connection {
  readonly #server: TestServer;
  readonly #query: string;
  #wire: Wire | null = null;

  constructor(server: TestServer, query: string) {
    this.#server = server;
    this.#query = query;
  }

  async #begin(length: number, crc: number): Promise<Wire> {
    this.#wire ??= await Wire.open(this.#server.port);
    return this.#wire.head(
      `POST /api/files/upload?${this.#query} HTTP/1.1`,
      'Host: x',
      `Authorization: ${this.#server.client.headers.authorization}`,
      'Content-Type: application/octet-stream',
      `Content-Length: ${length}`,
      `X-Chunk-CRC32: ${hex32(crc)}`,
    );
  }

  async send(start: number, data: Buffer): Promise<WireResponse> {
    const body = encodeChunk(start, data);
    const wire = await this.#begin(body.length, crc32(data));
    return await wire.send(body).response();
  }

  /** Sends a part of the message, and breaks the connection when all of that is on its way. */
  async breakOff(start: number, data: Buffer, after: number, reset: boolean): Promise<void> {
    const body = encodeChunk(start, data);
    const { socket } = await this.#begin(body.length, crc32(data));
    await new Promise<void>((sent) => socket.write(body.subarray(0, after), () => sent()));
    if (reset) socket.resetAndDestroy();
    else socket.destroy();
    this.#wire = null;
  }

  close(): void {
    this.#wire?.destroy();
  }
}

class Device {
  readonly model: Model;
  readonly #server: TestServer;
  readonly #name: string;
  readonly #contents: readonly [Buffer, Buffer];
  readonly #query: string;

  constructor(server: TestServer, name: string, { size, declared }: Plan, seed: number) {
    const content = contentOf(size, seed);
    this.model = new Model(size, declared);
    this.#server = server;
    this.#name = name;
    this.#contents = [content, contradicting(content)];
    this.#query = `filename=${name}${declared ? `&total_size=${size}` : ''}`;
  }

  connect(): Connection {
    return new Connection(this.#server, this.#query);
  }

  async send(connection: Connection, { start, length, variant, breaksAfter, reset }: Sending): Promise<void> {
    const data = this.#contents[variant].subarray(start, start + length);
    if (breaksAfter !== null) {
      const message = length + 17;
      const after = Math.floor(breaksAfter * message);
      await connection.breakOff(start, data, after, reset);
      if (after < message) return;
      // The answer is lost, so only a repeated request shows the outcome.
    }
    const reply = await connection.send(start, data);
    if (reply.status !== 200) {
      this.model.refused(start, data, JSON.parse(reply.body).code);
      assert.equal(reply.status, 409, reply.body);
      assertProblem(reply, JSON.parse(reply.body).code);
      return;
    }
    const status = JSON.parse(reply.body) as FileStatus;
    assert.deepEqual([status.chunk?.start, status.chunk?.end], [start, start + length - 1]);
    assert.equal(status.chunk?.crc32, hex32(crc32(data)));
    this.model.acknowledged(start, data);
  }

  async status(): Promise<FileStatus> {
    const { origin, client } = this.#server;
    const reply = await fetch(`${origin}/api/files/status/${this.#name}`, { headers: client.headers });
    return (await reply.json()) as FileStatus;
  }

  /** Checks that the status and the served bytes match the model. */
  async check(size: number | null): Promise<void> {
    const { model } = this;
    model.check();
    const status = await this.status();
    assert.equal(status.bytes_received, model.bytes);
    if (model.bytes === 0) return;
    assert.equal(status.total_bytes, size ?? model.end);
    assert.deepEqual(status.missing, model.runs(false, size ?? model.end));
    for (const [start, end] of model.runs(true, model.cells.length)) {
      const expected = Buffer.from(model.cells.slice(start, end + 1).map(Number));
      assert.ok(expected.equals(await this.#read(start, end)), `bytes ${start}-${end}`);
    }
  }

  async #read(start: number, end: number): Promise<Buffer> {
    const { origin, client } = this.#server;
    const headers = { ...client.headers, range: `bytes=${start}-${end}` };
    const reply = await fetch(`${origin}/api/files/download/${this.#name}`, { headers });
    assert.equal(reply.status, 206);
    return Buffer.from(await reply.arrayBuffer());
  }
}

test('chunks in any order, with repeats, conflicts and broken connections, match a simple model', async (t) => {
  const server = await startServer(t);
  const seen = { files: 0, refusals: 0 };
  await fc.assert(
    fc.asyncProperty(plan, async (planned) => {
      const { size, declared, connections, sendings } = planned;
      seen.files += 1;
      const device = new Device(server, `file-${seen.files}`, planned, seen.files);
      const waiting = [...sendings];
      await Promise.all(
        Array.from({ length: connections }, async () => {
          const connection = device.connect();
          try {
            for (let next = waiting.pop(); next; next = waiting.pop()) await device.send(connection, next);
          } finally {
            connection.close();
          }
        }),
      );
      await device.check(declared ? size : null);

      const connection = device.connect();
      for (const [start, end] of device.model.runs(false, size)) {
        const gap = { start, length: end - start + 1, variant: 0, breaksAfter: null, reset: false } as const;
        await device.send(connection, gap);
      }
      connection.close();
      await device.check(size);
      const status = await device.status();
      assert.equal(status.status, 'complete');
      assert.equal(status.crc32, hex32(crc32(Buffer.from(device.model.cells.map(Number)))));
      seen.refusals += device.model.refusals;
    }),
    // Shrink a failing case for a limited time.
    { numRuns: 60, interruptAfterTimeLimit: 60_000 },
  );
  assert.ok(seen.refusals > 0, 'no chunk contradicted another');
});
