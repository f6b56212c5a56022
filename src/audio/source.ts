/** Random access to a file for the parsers here, with limits on bytes and on reads. Also their results. */
import type { Sound } from '../records/audio.ts';
import { LimitExceededError, RangeTokenizer, type StoredBytes } from './ranges.ts';

/** Maximum number of reads of one file. */
const MAX_STEPS = 250_000;

/** The structure of the file is invalid or truncated. */
export class MalformedFileError extends Error {}

export class Source {
  /** Size of the file in bytes. */
  readonly size: number;
  readonly #tokenizer: RangeTokenizer;
  #steps = 0;

  constructor(stored: StoredBytes) {
    this.size = stored.size;
    this.#tokenizer = new RangeTokenizer(stored);
  }

  /**
   * Reads `length` bytes, or fewer at the end of the file.
   * @throws LimitExceededError
   */
  async read(position: number, length: number): Promise<Buffer> {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) throw new LimitExceededError();
    if (position < 0 || !Number.isSafeInteger(position) || position >= this.size) return Buffer.alloc(0);
    const bytes = Buffer.alloc(Math.min(length, this.size - position));
    const got = await this.#tokenizer.peekBuffer(bytes, { position, mayBeLess: true });
    return bytes.subarray(0, got);
  }

  /** Reads `length` bytes. @throws MalformedFileError at the end of the file, LimitExceededError */
  async readExactly(position: number, length: number): Promise<Buffer> {
    const bytes = await this.read(position, length);
    if (bytes.length < length) throw new MalformedFileError();
    return bytes;
  }
}

/** The result of a parser. Numbers are not validated yet; null means unknown. */
export interface ParsedSound {
  mediaType: string;
  durationSeconds: number | null;
  sampleRate: number | null;
  channels: number | null;
  codec: string | null;
}

/** Validates the result of a parser: invalid numbers become null. */
export function soundOf({ mediaType, durationSeconds, sampleRate, channels, codec }: ParsedSound): Sound {
  return {
    mediaType,
    durationSeconds: duration(durationSeconds),
    sampleRate: positiveInteger(sampleRate),
    channels: positiveInteger(channels),
    codec,
  };
}

function duration(value: number | null): number | null {
  return value !== null && Number.isFinite(value) && value >= 0 ? Math.round(value * 1000) / 1000 : null;
}

function positiveInteger(value: number | null): number | null {
  return value !== null && Number.isSafeInteger(value) && value > 0 ? value : null;
}

/** Converts a 64-bit number. Values outside the safe integers become Infinity, as do values below -1. */
export function toNumber(value: bigint): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= -1n ? Number(value) : Number.POSITIVE_INFINITY;
}
