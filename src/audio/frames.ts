/**
 * Formats without a header for the whole file: AAC in ADTS (ISO/IEC 14496-3 §1.A.2), AMR (RFC 4867 §5) and AC-3 (ETSI TS 102 366). Frames
 * are counted up to the read limit, and estimated beyond it.
 */
import { LimitExceededError } from './ranges.ts';
import { MalformedFileError, type ParsedSound, type Source } from './source.ts';

export const AAC_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];
const AAC_SAMPLES = 1024;

export interface AdtsFrame {
  rate: number;
  channels: number | null;
  /** Size of the whole frame, in bytes. */
  bytes: number;
  samples: number;
}

/** Parses the header of a frame; null if it is invalid. */
export function adtsFrame(head: Buffer): AdtsFrame | null {
  if (head.length < 7 || (head.readUInt16BE(0) & 0xfff6) !== 0xfff0) return null;
  const rate = AAC_RATES[(head.readUInt8(2) >> 2) & 15];
  const configuration = (head.readUInt16BE(2) >> 6) & 7;
  const bytes = (head.readUInt32BE(2) >> 5) & 0x1fff;
  if (rate === undefined || bytes < 7) return null;
  const channels = configuration === 0 ? null : configuration === 7 ? 8 : configuration;
  return { rate, channels, bytes, samples: AAC_SAMPLES * ((head.readUInt8(6) & 3) + 1) };
}

/** @param start position of the first frame, after an ID3 tag */
export async function adtsSound(source: Source, start: number): Promise<ParsedSound> {
  const first = adtsFrame(await source.readExactly(start, 7));
  if (first === null) throw new MalformedFileError();
  const samples = await countSamples(source, start, async (position) => {
    const frame = adtsFrame(await source.read(position, 7));
    return frame === null ? null : { bytes: frame.bytes, samples: frame.samples };
  });
  const { rate, channels } = first;
  return { mediaType: 'audio/aac', durationSeconds: samples / rate, sampleRate: rate, channels, codec: 'aac' };
}

/** Size of a frame in bytes, header included, by frame type; 0: invalid. */
const AMR_NB = [13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1];
const AMR_WB = [18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1];
/** A frame lasts 20 ms. */
const AMR_FRAMES_PER_SECOND = 50;
export const AMR_MAGIC = '#!AMR\n';
export const AMR_WB_MAGIC = '#!AMR-WB\n';

export async function amrSound(source: Source): Promise<ParsedSound> {
  const wide = (await source.read(0, AMR_WB_MAGIC.length)).toString('latin1') === AMR_WB_MAGIC;
  const start = wide ? AMR_WB_MAGIC.length : AMR_MAGIC.length;
  const lengths = wide ? AMR_WB : AMR_NB;
  const frames = await countSamples(source, start, async (position) => {
    const [head] = await source.read(position, 1);
    const bytes = head === undefined ? 0 : (lengths[(head >> 3) & 15] ?? 0);
    return bytes === 0 ? null : { bytes, samples: 1 };
  });
  return {
    mediaType: wide ? 'audio/amr-wb' : 'audio/amr',
    durationSeconds: frames / AMR_FRAMES_PER_SECOND,
    sampleRate: wide ? 16_000 : 8_000,
    channels: 1,
    codec: wide ? 'amr_wb' : 'amr_nb',
  };
}

const AC3_RATES = [48_000, 44_100, 32_000];
/** In kbit/s. */
const AC3_BIT_RATES = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
export const AC3_CHANNELS = [2, 1, 2, 3, 3, 4, 4, 5];
const AC3_SAMPLES = 1536;

/** Computes the duration from the size of the file, because the bit rate of AC-3 is constant. */
export async function ac3Sound(source: Source): Promise<ParsedSound> {
  const head = await source.readExactly(0, 8);
  const rate = AC3_RATES[head.readUInt8(4) >> 6];
  const bitRate = AC3_BIT_RATES[(head.readUInt8(4) & 63) >> 1];
  const version = head.readUInt8(5) >> 3;
  if (rate === undefined || bitRate === undefined || version > 10) throw new MalformedFileError();
  const mode = head.readUInt8(6) >> 5;
  // Mixing levels follow the mode, for some modes, and then the flag of the low-frequency channel.
  const levels = ((mode & 1) !== 0 && mode !== 1 ? 2 : 0) + ((mode & 4) !== 0 ? 2 : 0) + (mode === 2 ? 2 : 0);
  const low = (head.readUInt16BE(6) >> (12 - levels)) & 1;
  const frameBytes = (bitRate * 1000 * AC3_SAMPLES) / rate / 8;
  const durationSeconds = ((source.size / frameBytes) * AC3_SAMPLES) / rate;
  const channels = (AC3_CHANNELS[mode] ?? 0) + low;
  return { mediaType: 'audio/ac3', durationSeconds, sampleRate: rate, channels, codec: 'ac3' };
}

/** Counts the samples of all frames from `start` on. For a long file, extrapolates from the frames within the read limit. */
async function countSamples(
  source: Source,
  start: number,
  frameAt: (position: number) => Promise<{ bytes: number; samples: number } | null>,
): Promise<number> {
  let position = start;
  let samples = 0;
  try {
    for (;;) {
      const frame = await frameAt(position);
      // A truncated frame, or a tag at the end of the file.
      if (frame === null || position + frame.bytes > source.size) return samples;
      position += frame.bytes;
      samples += frame.samples;
    }
  } catch (error) {
    if (!(error instanceof LimitExceededError)) throw error;
    return (samples * (source.size - start)) / Math.max(1, position - start);
  }
}
