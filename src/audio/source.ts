/** A stored file as parsers of its structure read it: small pieces at any position, with a bound of bytes and of steps. */
import type { Sound } from '../records/audio.ts';
import { LimitExceededError, RangeTokenizer, type StoredBytes } from './ranges.ts';

/** Chunks, boxes or frames of one file. */
const MAX_STEPS = 250_000;

/** A header that says nothing sensible, or ends too early. */
export class MalformedFileError extends Error {}

export class Source {
  /** Bytes of the file. */
  readonly size: number;
  readonly #tokenizer: RangeTokenizer;
  #steps = 0;

  constructor(stored: StoredBytes) {
    this.size = stored.size;
    this.#tokenizer = new RangeTokenizer(stored);
  }

  /**
   * So many bytes, or fewer at the end of the file.
   * @throws TooMuch when the file has been read for too long
   */
  async read(position: number, length: number): Promise<Buffer> {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) throw new LimitExceededError();
    if (position < 0 || !Number.isSafeInteger(position) || position >= this.size) return Buffer.alloc(0);
    const bytes = Buffer.alloc(Math.min(length, this.size - position));
    const got = await this.#tokenizer.peekBuffer(bytes, { position, mayBeLess: true });
    return bytes.subarray(0, got);
  }

  /** @throws Broken when the file ends before */
  async readExactly(position: number, length: number): Promise<Buffer> {
    const bytes = await this.read(position, length);
    if (bytes.length < length) throw new MalformedFileError();
    return bytes;
  }
}

/** What a parser found; durations of less than nothing and the like are left out. */
export interface ParsedSound {
  mediaType: string;
  durationSeconds: number | null;
  sampleRate: number | null;
  channels: number | null;
  codec: string | null;
}

/** Replaces values that are not finite numbers by null. */
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

/** A number of 64 bits that a file can have; anything larger than numbers are exact is Infinity. */
export function toNumber(value: bigint): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= -1n ? Number(value) : Number.POSITIVE_INFINITY;
}
