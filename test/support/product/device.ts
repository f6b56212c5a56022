/** A device as the engine sees it: chunks in one go, or piece by piece in the test's own time. */
import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import type { Engine } from '../../../src/engine/engine.ts';
import type { ChunkIntent } from '../../../src/engine/receive/chunk-intent.ts';
import { type ErrorCode, LadingError } from '../../../src/errors.ts';
import { encodeChunk, encodeChunkHeader, sum256 } from '../../../src/protocol/chunk.ts';
import type { FileStatus } from '../../../src/protocol/schemas/files.ts';

export const OWNER = 'device';

/** What a request says besides its bytes; nothing where absent. */
export type ChunkFields = Partial<Omit<ChunkIntent, 'name'>>;

export function intent(name: string, said: ChunkFields = {}): ChunkIntent {
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
    ...said,
  };
}

/** `length` bytes of a file's true content from offset `start`: every file (seed) has other ones. */
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

/** One whole chunk. */
export function send(
  engine: Engine,
  name: string,
  start: number,
  bytes: Uint8Array,
  said: ChunkFields = {},
): Promise<FileStatus> {
  return engine.receiveChunk(Readable.from([Buffer.from(encodeChunk(start, bytes))]), intent(name, said));
}

/** A request with any body at all. */
export function sendRaw(engine: Engine, name: string, body: Uint8Array, said: ChunkFields = {}): Promise<FileStatus> {
  const source = new PassThrough();
  source.end(body);
  return engine.receiveChunk(source, intent(name, said));
}

export interface SlowSend {
  source: PassThrough;
  /** Settles as the request does; a refusal that nobody awaits yet is no unhandled rejection. */
  reply: Promise<FileStatus>;
  /** Sends the next `count` bytes of the data (all that is left by default). */
  push(count?: number): void;
  /** Ends the body. */
  end(): void;
  /** The connection breaks. */
  sever(): void;
  /** Resolves when the engine took every byte sent so far off the wire. */
  taken(): Promise<void>;
}

/** A chunk whose header is on its way and whose data comes as the test says. */
export function sendSlowly(
  engine: Engine,
  name: string,
  start: number,
  bytes: Uint8Array,
  said: ChunkFields = {},
): SlowSend {
  const source = new PassThrough();
  const end = start + bytes.length - 1;
  source.write(encodeChunkHeader({ start, end, checksum: sum256(bytes) }));
  const reply = engine.receiveChunk(source, intent(name, said));
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

/** Lets the event loop turn until `done`; gives up loudly after half a minute. For states that no event announces. */
export async function turnsUntil(done: () => boolean, what = 'the awaited state'): Promise<void> {
  // Not the clock that tests put others in place of.
  const since = process.hrtime.bigint();
  while (!done()) {
    if (process.hrtime.bigint() - since > 30_000_000_000n) throw new Error(`${what} never came`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What a promise comes to, or a loud failure when it does not within half a minute. */
export async function outcome<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
  let settled: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([promise]).then(([result]) => {
    settled = result;
  });
  await turnsUntil(() => settled !== undefined, 'the outcome');
  if (!settled) throw new Error('unreachable');
  return settled;
}

/** Lets everything that is ready to run do so, several times over. */
export async function settle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The refusal that a request ends with; fails when it has another code or when the request succeeds. */
export async function refused(request: Promise<unknown>, code: ErrorCode): Promise<LadingError> {
  const result = await outcome(request);
  if (result.status === 'fulfilled') assert.fail(`expected ${code}, but it succeeded: ${JSON.stringify(result.value)}`);
  const error: unknown = result.reason;
  if (!(error instanceof LadingError)) throw error;
  assert.equal(error.code, code, error.message);
  return error;
}

/** What a whole download gives. Fails when the file is not readable as a whole. */
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

/** Bytes `start` to `end` of a file that may be incomplete; null when they are not all there. */
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

/** The six keys that say how far a file is. */
export function progress(
  status: FileStatus,
): Pick<FileStatus, 'status' | 'bytes_received' | 'total_bytes' | 'next_expected_byte' | 'missing' | 'readable'> {
  const { bytes_received, total_bytes, next_expected_byte, missing, readable } = status;
  return { status: status.status, bytes_received, total_bytes, next_expected_byte, missing, readable };
}

/** A chunk that tells when all its bytes are verified and it is about to be committed. */
export function sendAndNotify(
  engine: Engine,
  name: string,
  start: number,
  bytes: Uint8Array,
  said: ChunkFields = {},
): { reply: Promise<FileStatus>; verified: Promise<void> } {
  let tell = (): void => {};
  const verified = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const source = Readable.from([Buffer.from(encodeChunk(start, bytes))]);
  const reply = engine.receiveChunk(source, intent(name, said), () => {
    tell();
    return Promise.resolve();
  });
  reply.catch(() => {});
  return { reply, verified };
}
