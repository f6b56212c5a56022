/**
 * Over real connections: any set of chunks, in any order and sizes, overlapping, repeated, some with connections that break in the
 * middle, several connections at a time, ends in the same bytes; and no byte is ever served that was not sent.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeChunk } from '../../src/protocol/chunk.ts';
import { crc32, hex32 } from '../../src/protocol/crc32.ts';
import type { FileStatus } from '../../src/protocol/schemas.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { Wire } from '../support/wire.ts';

interface Sending {
  start: number;
  length: number;
  /** Bytes of the message after which the connection is cut; null: it is not. */
  breaksAfter: number | null;
}

interface Plan {
  size: number;
  declared: boolean;
  connections: number;
  sendings: Sending[];
}

function contentOf(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed | 1;
  for (let i = 0; i < size; i += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state >>> 16;
  }
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
          breaksAfter: fc.option(fc.nat({ max: 200 }), { freq: 4 }),
        }),
        { maxLength: 20 },
      )
      .map((sendings) => ({
        size,
        declared,
        connections,
        sendings: sendings.map((one) => ({ ...one, length: Math.min(one.length, size - one.start) })),
      })),
  );

class Uploader {
  readonly #server: TestServer;
  readonly #name: string;
  readonly #content: Buffer;
  readonly #query: string;

  constructor(server: TestServer, name: string, content: Buffer, declared: boolean) {
    this.#server = server;
    this.#name = name;
    this.#content = content;
    this.#query = `filename=${name}${declared ? `&total_size=${content.length}` : ''}`;
  }

  async send({ start, length, breaksAfter }: Sending): Promise<void> {
    const data = this.#content.subarray(start, start + length);
    const body = encodeChunk(start, data);
    if (breaksAfter !== null) return this.#sendBroken(body, breaksAfter);
    const reply = await fetch(`${this.#server.origin}/api/files/upload?${this.#query}`, {
      method: 'POST',
      headers: {
        ...this.#server.client.headers,
        'content-type': 'application/octet-stream',
        'x-chunk-crc32': hex32(crc32(data)),
      },
      body,
    });
    const status = (await reply.json()) as FileStatus;
    assert.equal(reply.status, 200, JSON.stringify(status));
    assert.deepEqual([status.chunk?.start, status.chunk?.end], [start, start + length - 1]);
  }

  async #sendBroken(body: Uint8Array, after: number): Promise<void> {
    const wire = await Wire.open(this.#server.port);
    wire.head(
      `POST /api/files/upload?${this.#query} HTTP/1.1`,
      'Host: x',
      `Authorization: ${this.#server.client.headers.authorization}`,
      'Content-Type: application/octet-stream',
      `Content-Length: ${body.length}`,
    );
    wire.send(body.subarray(0, Math.min(after, body.length - 1)));
    wire.destroy();
  }

  async status(): Promise<FileStatus> {
    const reply = await fetch(`${this.#server.origin}/api/files/status/${this.#name}`, {
      headers: this.#server.client.headers,
    });
    return (await reply.json()) as FileStatus;
  }

  /** Whatever is served of a received stretch is what was sent. */
  async checkRange(start: number, end: number): Promise<void> {
    const reply = await fetch(`${this.#server.origin}/api/files/download/${this.#name}`, {
      headers: { ...this.#server.client.headers, range: `bytes=${start}-${end}` },
    });
    assert.equal(reply.status, 206);
    assert.deepEqual(Buffer.from(await reply.arrayBuffer()), this.#content.subarray(start, end + 1));
  }
}

/** Inclusive stretches that the status says are there. */
function received({ missing, total_bytes }: FileStatus): [number, number][] {
  const stretches: [number, number][] = [];
  let from = 0;
  for (const [start, end] of [...missing, [total_bytes ?? 0, 0] as [number, number]]) {
    if (start > from) stretches.push([from, start - 1]);
    from = end + 1;
  }
  return stretches;
}

test('chunks over several connections, in any order, with repeats, overlaps and breaks, end in the same bytes', async (t) => {
  const server = await startServer(t);
  let files = 0;
  await fc.assert(
    fc.asyncProperty(plan, async ({ size, declared, connections, sendings }) => {
      files += 1;
      const content = contentOf(size, files);
      const uploader = new Uploader(server, `file-${files}`, content, declared);
      const waiting = [...sendings];
      const connection = async (): Promise<void> => {
        for (let next = waiting.pop(); next; next = waiting.pop()) await uploader.send(next);
      };
      await Promise.all(Array.from({ length: connections }, connection));
      const between = await uploader.status();
      for (const [start, end] of received(between)) await uploader.checkRange(start, end);

      const gaps = between.missing.map(([start, end]) => ({ start, length: end - start + 1, breaksAfter: null }));
      const tail = { start: between.total_bytes ?? 0, length: size - (between.total_bytes ?? 0), breaksAfter: null };
      for (const gap of tail.length > 0 ? [...gaps, tail] : gaps) await uploader.send(gap);
      const status = await uploader.status();
      assert.equal(status.status, 'complete');
      assert.equal(status.bytes_received, size);
      assert.equal(status.crc32, hex32(crc32(content)));
      await uploader.checkRange(0, size - 1);
    }),
    { numRuns: 40 },
  );
});
