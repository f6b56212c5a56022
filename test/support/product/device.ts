/** Requests of a device to an engine: whole chunks, or chunks that a test sends step by step. */
import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import type { Engine } from '../../../src/engine/engine.ts';
import type { ChunkIntent } from '../../../src/engine/receive/chunk-intent.ts';
import { type ErrorCode, LadingError } from '../../../src/errors.ts';
import { encodeChunk, encodeChunkHeader, sum256 } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';

export const OWNER = 'device';

/** The fields of a chunk request besides its bytes. */
export type ChunkFields = Partial<Omit<ChunkIntent, 'name'>>;

export function intent(name: string, fields: ChunkFields = {}): ChunkIntent {
  return {
    owner: OWNER,
    name,
    declaredSize: null,
    range: null,
    crc32: null,
    contentDigest: null,
    reprDigest: null,
    overwrite: false,
    contentType: null,
    contentLength: null,
    ...fields,
  };
}

/** `length` bytes of the content of a file from offset `start`. The seed determines the content. */
export function content(start: number, length: number, seed = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) {
    const mixed = Math.imul(start + i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
    bytes[i] = (mixed ^ (mixed >>> 15)) & 0xff;
  }
  return bytes;
}

export function text(value: string): Uint8Array {
  return Buffer.from(value, 'utf8');
}

/** Sends a whole chunk. */
export function send(
  engine: Engine,
  name: string,
  start: number,
  bytes: Uint8Array,
  fields: ChunkFields = {},
): Promise<FileStatus> {
  return engine.receiveChunk(Readable.from([Buffer.from(encodeChunk(start, bytes))]), intent(name, fields));
}

/** Sends a chunk request with any body. */
export function sendRaw(engine: Engine, name: string, body: Uint8Array, fields: ChunkFields = {}): Promise<FileStatus> {
  const source = new PassThrough();
  source.end(body);
  return engine.receiveChunk(source, intent(name, fields));
}

export interface SlowSend {
  source: PassThrough;
  /** Settles with the request. A rejection before a test awaits it is not reported as unhandled. */
  reply: Promise<FileStatus>;
  /** Sends the next `count` bytes of the data, or all remaining bytes. */
  push(count?: number): void;
  /** Ends the body. */
  end(): void;
  /** Breaks the connection. */
  sever(): void;
  /** Resolves when the engine has read every byte sent so far. */
  taken(): Promise<void>;
}

/** Sends the header of a chunk; the test sends the data. */
export function sendSlowly(
  engine: Engine,
  name: string,
  start: number,
  bytes: Uint8Array,
  fields: ChunkFields = {},
): SlowSend {
  const source = new PassThrough();
  const end = start + bytes.length - 1;
  source.write(encodeChunkHeader({ start, end, checksum: sum256(bytes) }));
  const reply = engine.receiveChunk(source, intent(name, fields));
  reply.catch(() => {});
  let sent = 0;
  return {
    source,
    reply,
    push: (count = bytes.length - sent) => {
      source.write(bytes.subarray(sent, sent + count));
      sent += count;
    },
    end: () => source.end(),
    sever: () => source.destroy(new Error('the connection broke')),
    taken: () => turnsUntil(() => source.readableLength === 0 && source.writableLength === 0),
  };
}

/** Turns the event loop until `done`; fails after half a minute. For states that no event announces. */
export async function turnsUntil(done: () => boolean, what = 'the awaited state'): Promise<void> {
  // This clock is not replaced by tests.
  const since = process.hrtime.bigint();
  while (!done()) {
    if (process.hrtime.bigint() - since > 30_000_000_000n) throw new Error(`${what} did not happen`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The result of a promise; fails if it does not settle within half a minute. */
export async function outcome<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  let settled: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([promise]).then(([result]) => {
    settled = result;
  });
  await turnsUntil(() => settled !== undefined, 'the outcome');
  if (!settled) throw new Error('unreachable');
  return settled;
}

/** Turns the event loop several times, so that everything that is ready runs. */
export async function settle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The error of a refused request; fails if the request succeeds or the code differs. */
export async function refused(request: Promise<unknown>, code: ErrorCode): Promise<LadingError> {
  const result = await outcome(request);
  if (result.status === 'fulfilled') assert.fail(`expected ${code}, but it succeeded: ${JSON.stringify(result.value)}`);
  const error: unknown = result.reason;
  if (!(error instanceof LadingError)) throw error;
  assert.equal(error.code, code, error.message);
  return error;
}

/** Downloads a whole file. Fails if the file is not readable as a whole. */
export async function download(engine: Engine, name: string): Promise<Buffer> {
  const file = await engine.open(OWNER, name);
  try {
    assert.ok(file.readable, `${name} is not readable`);
    const bytes = Buffer.alloc(file.size ?? 0);
    assert.equal(await file.reader.read(bytes, 0), bytes.length);
    return bytes;
  } finally {
    file.release();
  }
}

/** Bytes `start` to `end` of a file that may be incomplete; null if some are missing. */
export async function readRange(engine: Engine, name: string, start: number, end: number): Promise<Buffer | null> {
  const file = await engine.open(OWNER, name);
  try {
    if (!file.covers({ start, end })) return null;
    const bytes = Buffer.alloc(end - start + 1);
    assert.equal(await file.reader.read(bytes, start), bytes.length);
    return bytes;
  } finally {
    file.release();
  }
}

/** The keys of a status that describe the progress of a file. */
export function progress(
  status: FileStatus,
): Pick<FileStatus, 'status' | 'bytes_received' | 'total_bytes' | 'next_expected_byte' | 'missing' | 'readable'> {
  const { bytes_received, total_bytes, next_expected_byte, missing, readable } = status;
  return { status: status.status, bytes_received, total_bytes, next_expected_byte, missing, readable };
}

/** Sends a chunk; `verified` resolves when all its bytes are verified and it is about to be committed. */
export function sendAndNotify(
  engine: Engine,
  name: string,
  start: number,
  bytes: Uint8Array,
  fields: ChunkFields = {},
): { reply: Promise<FileStatus>; verified: Promise<void> } {
  let notify = (): void => {};
  const verified = new Promise<void>((resolve) => {
    notify = resolve;
  });
  const source = Readable.from([Buffer.from(encodeChunk(start, bytes))]);
  const reply = engine.receiveChunk(source, intent(name, fields), () => {
    notify();
    return Promise.resolve();
  });
  reply.catch(() => {});
  return { reply, verified };
}
