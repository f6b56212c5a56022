/**
 * WAV files: RIFF, and RF64 and BW64 beyond 4 GiB (EBU Tech 3306, ITU-R BS.2088). A recorder that cannot seek back to the header leaves 0 or
 * 0xFFFFFFFF as the size of the data. The data then extends to the end of the file, as it does in a truncated file.
 */
import { MalformedFileError, type ParsedSound, type Source, toNumber } from './source.ts';

const UNKNOWN_SIZE = 0xffffffff;
const EXTENSIBLE = 0xfffe;
/** The number of samples in the header is trusted if its duration differs from the estimate by less than this factor. */
const MAX_RATIO = 4;
/** The end of the GUIDs that represent a format tag (KSDATAFORMAT_SUBTYPE). */
const TAG_GUID = '000000001000800000aa00389b71';

const CODECS: Readonly<Record<number, string>> = {
  2: 'adpcm_ms',
  6: 'pcm_alaw',
  7: 'pcm_mulaw',
  17: 'adpcm_ima_wav',
  32: 'adpcm_yamaha',
  34: 'truespeech',
  49: 'gsm_ms',
  50: 'gsm_ms',
  66: 'g723_1',
  69: 'adpcm_g726',
  80: 'mp2',
  85: 'mp3',
  97: 'adpcm_ima_dk4',
  98: 'adpcm_ima_dk3',
  100: 'adpcm_g726',
  131: 'g729',
  255: 'aac',
  352: 'wmav1',
  353: 'wmav2',
  354: 'wmapro',
  355: 'wmalossless',
  655: 'adpcm_g722',
  5632: 'aac',
  5634: 'aac_latm',
  8192: 'ac3',
  8193: 'dts',
  28781: 'aac',
  41222: 'aac',
  41225: 'speex',
  61868: 'flac',
};

interface Format {
  tag: number;
  channels: number;
  rate: number;
  bytesPerSecond: number;
  blockBytes: number;
  bits: number;
  /** Samples in an ADPCM block. */
  blockSamples: number;
}

/** The codec of a format tag; null if it is unknown. */
export function codecOfTag(tag: number, bits: number): string | null {
  if (tag === 1) return bits <= 8 ? 'pcm_u8' : bits <= 64 ? `pcm_s${Math.ceil(bits / 8) * 8}le` : null;
  if (tag === 3) return bits === 32 || bits === 64 ? `pcm_f${bits}le` : null;
  return CODECS[tag] ?? null;
}

/**
 * Parses a WAV file.
 * @param start position of `RIFF`, `RF64` or `BW64`
 * @throws MalformedFileError, LimitExceededError
 */
export async function waveSound(source: Source, start: number): Promise<ParsedSound> {
  let position = start + 12;
  let format: Format | null = null;
  let longSize: number | null = null;
  let samples: number | null = null;
  while (true) {
    const head = await source.readExactly(position, 8);
    const id = head.toString('latin1', 0, 4);
    const size = head.readUInt32LE(4);
    const content = position + 8;
    if (id === 'data') {
      if (format === null) throw new MalformedFileError();
      const declared = size === UNKNOWN_SIZE ? (longSize ?? 0) : size;
      const left = source.size - content;
      const bytes = declared === 0 ? left : Math.min(declared, left);
      return soundOfData(format, bytes, samples === null || declared <= bytes ? samples : (samples * bytes) / declared);
    }
    if (id === 'ds64') longSize = toNumber((await source.readExactly(content, 16)).readBigUInt64LE(8));
    else if (id === 'fmt ') format = formatOf(await source.read(content, Math.min(size, 40)));
    else if (id === 'fact' && size >= 4) samples = (await source.readExactly(content, 4)).readUInt32LE(0);
    position = content + size + (size % 2);
  }
}

function formatOf(bytes: Buffer): Format {
  if (bytes.length < 14) throw new MalformedFileError();
  const format = {
    tag: bytes.readUInt16LE(0),
    channels: bytes.readUInt16LE(2),
    rate: bytes.readUInt32LE(4),
    bytesPerSecond: bytes.readUInt32LE(8),
    blockBytes: bytes.readUInt16LE(12),
    bits: bytes.length >= 16 ? bytes.readUInt16LE(14) : 8,
    blockSamples: bytes.length >= 20 ? bytes.readUInt16LE(18) : 0,
  };
  if (format.channels === 0 || format.rate === 0) throw new MalformedFileError();
  if (format.tag !== EXTENSIBLE || bytes.length < 40) return format;
  const known = bytes.toString('hex', 26, 40) === TAG_GUID;
  return { ...format, tag: known ? bytes.readUInt16LE(24) : -1 };
}

function soundOfData(format: Format, bytes: number, samples: number | null): ParsedSound {
  const { tag, channels, rate, bytesPerSecond, blockBytes, bits, blockSamples } = format;
  const codec = codecOfTag(tag, bits);
  let durationSeconds: number | null = null;
  if (codec?.startsWith('pcm_') && blockBytes > 0) durationSeconds = Math.floor(bytes / blockBytes) / rate;
  else if ((tag === 2 || tag === 0x11) && blockBytes > 0 && blockSamples > 0)
    durationSeconds = ((bytes / blockBytes) * blockSamples) / rate;
  else durationSeconds = compressedSeconds(bytesPerSecond > 0 ? bytes / bytesPerSecond : null, samples, rate);
  return { mediaType: 'audio/wav', durationSeconds, sampleRate: rate, channels, codec };
}

/** Prefers the exact number of samples to the estimate, unless the recorder could not update it. */
function compressedSeconds(estimated: number | null, samples: number | null, rate: number): number | null {
  if (samples === null || samples === 0) return estimated;
  const exact = samples / rate;
  return estimated === null || (exact < estimated * MAX_RATIO && estimated < exact * MAX_RATIO) ? exact : estimated;
}
