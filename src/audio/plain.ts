/** Formats with a simple header before the samples: AU, AIFF, AIFF-C and CAF. */
import { MalformedFileError, type ParsedSound, type Source, toNumber } from './source.ts';

/** AU: codec and bits per sample, by encoding. */
const AU_ENCODINGS: Readonly<Record<number, [codec: string, bits: number]>> = {
  1: ['pcm_mulaw', 8],
  2: ['pcm_s8', 8],
  3: ['pcm_s16be', 16],
  4: ['pcm_s24be', 24],
  5: ['pcm_s32be', 32],
  6: ['pcm_f32be', 32],
  7: ['pcm_f64be', 64],
  23: ['adpcm_g726le', 4],
  24: ['adpcm_g722', 4],
  25: ['adpcm_g726le', 3],
  26: ['adpcm_g726le', 5],
  27: ['pcm_alaw', 8],
};

/** Parses an AU file. The header has six 32-bit numbers. */
export async function auSound(source: Source): Promise<ParsedSound> {
  const head = await source.readExactly(0, 24);
  const [start, size, encoding] = [head.readUInt32BE(4), head.readUInt32BE(8), head.readUInt32BE(12)];
  const [rate, channels] = [head.readUInt32BE(16), head.readUInt32BE(20)];
  const [codec, bits] = AU_ENCODINGS[encoding] ?? [null, 0];
  if (start < 24 || rate === 0 || channels === 0 || channels > 0xffff) throw new MalformedFileError();
  // 0xFFFFFFFF: the size was unknown when the header was written.
  const bytes = Math.max(0, Math.min(size, source.size - start));
  const durationSeconds = bits === 0 ? null : bytes / ((channels * bits) / 8) / rate;
  return { mediaType: 'audio/basic', durationSeconds, sampleRate: rate, channels, codec };
}

/** AIFF-C: codec by compression type. For `NONE`, `twos` and `sowt` it depends on the bits per sample. */
const AIFC_CODECS: Readonly<Record<string, string>> = {
  fl32: 'pcm_f32be',
  FL32: 'pcm_f32be',
  fl64: 'pcm_f64be',
  FL64: 'pcm_f64be',
  in24: 'pcm_s24be',
  in32: 'pcm_s32be',
  'raw ': 'pcm_u8',
  ulaw: 'pcm_mulaw',
  ULAW: 'pcm_mulaw',
  alaw: 'pcm_alaw',
  ALAW: 'pcm_alaw',
  ima4: 'adpcm_ima_qt',
  'GSM ': 'gsm',
};
/** Sample frames in an IMA packet, which AIFF-C counts as one frame. */
const IMA_PACKET = 64;

/** Parses an AIFF or AIFF-C file. */
export async function aiffSound(source: Source): Promise<ParsedSound> {
  let position = 12;
  while (true) {
    const head = await source.readExactly(position, 8);
    const size = head.readUInt32BE(4);
    if (head.toString('latin1', 0, 4) === 'COMM') {
      const common = await source.read(position + 8, Math.min(size, 22));
      if (common.length < 18) throw new MalformedFileError();
      return aiffOf(common);
    }
    position += 8 + size + (size % 2);
  }
}

function aiffOf(common: Buffer): ParsedSound {
  const [channels, frames, bits] = [common.readUInt16BE(0), common.readUInt32BE(2), common.readUInt16BE(6)];
  const rate = readExtended(common.subarray(8, 18));
  if (channels === 0 || !(rate > 0)) throw new MalformedFileError();
  const type = common.length >= 22 ? common.toString('latin1', 18, 22) : 'NONE';
  const packet = type === 'ima4' ? IMA_PACKET : 1;
  const paddedBits = Math.ceil(bits / 8) * 8;
  let codec = AIFC_CODECS[type] ?? null;
  if (type === 'NONE' || type === 'twos') codec = paddedBits === 8 ? 'pcm_s8' : `pcm_s${paddedBits}be`;
  if (type === 'sowt') codec = paddedBits === 8 ? 'pcm_s8' : `pcm_s${paddedBits}le`;
  const sampleRate = Math.round(rate);
  return { mediaType: 'audio/aiff', durationSeconds: (frames * packet) / rate, sampleRate, channels, codec };
}

/** Reads an 80-bit number (IEEE 754 extended precision). */
function readExtended(bytes: Buffer): number {
  const exponent = (bytes.readUInt16BE(0) & 0x7fff) - 16383 - 63;
  return Number(bytes.readBigUInt64BE(2)) * 2 ** exponent;
}

const CAF_CODECS: Readonly<Record<string, string>> = {
  alac: 'alac',
  'aac ': 'aac',
  aach: 'aac',
  aacp: 'aac',
  opus: 'opus',
  ima4: 'adpcm_ima_qt',
  ulaw: 'pcm_mulaw',
  alaw: 'pcm_alaw',
  '.mp1': 'mp1',
  '.mp2': 'mp2',
  '.mp3': 'mp3',
  'ac-3': 'ac3',
  flac: 'flac',
  samr: 'amr_nb',
  agsm: 'gsm',
};

interface CafFormat {
  rate: number;
  codec: string | null;
  packetBytes: number;
  packetFrames: number;
  channels: number;
}

/** Parses a CAF file (Apple Core Audio Format Specification 1.0). The packet table may precede or follow the data. */
export async function cafSound(source: Source): Promise<ParsedSound> {
  let position = 8;
  let format: CafFormat | null = null;
  let dataBytes: number | null = null;
  let frames: number | null = null;
  for (;;) {
    const head = await source.read(position, 12);
    if (head.length < 12) break;
    const type = head.toString('latin1', 0, 4);
    const content = position + 12;
    const declared = toNumber(head.readBigInt64BE(4));
    // -1: the chunk extends to the end of the file.
    const size = declared < 0 ? source.size - content : declared;
    if (type === 'desc') format = cafFormat(await source.readExactly(content, 32));
    else if (type === 'data') dataBytes = Math.max(0, Math.min(size, source.size - content) - 4);
    else if (type === 'pakt') frames = cafFrames(await source.readExactly(content, 24), format);
    position = content + size;
  }
  if (format === null || dataBytes === null) throw new MalformedFileError();
  const { rate, codec, packetBytes, packetFrames, channels } = format;
  const counted = packetBytes > 0 ? (dataBytes / packetBytes) * packetFrames : null;
  const all = frames ?? counted;
  return {
    mediaType: 'audio/x-caf',
    durationSeconds: all === null ? null : all / rate,
    sampleRate: codec === 'opus' ? 48_000 : Math.round(rate),
    channels,
    codec,
  };
}

function cafFormat(bytes: Buffer): CafFormat {
  const rate = bytes.readDoubleBE(0);
  const id = bytes.toString('latin1', 8, 12);
  const flags = bytes.readUInt32BE(12);
  const channels = bytes.readUInt32BE(24);
  const bits = bytes.readUInt32BE(28);
  if (!(rate > 0) || channels === 0 || channels > 0xffff) throw new MalformedFileError();
  let codec = CAF_CODECS[id] ?? null;
  if (id === 'lpcm' && bits <= 64) {
    const order = (flags & 2) === 0 ? 'be' : 'le';
    codec = bits === 8 ? 'pcm_s8' : `pcm_${(flags & 1) === 0 ? 's' : 'f'}${Math.ceil(bits / 8) * 8}${order}`;
  }
  return { rate, codec, packetBytes: bytes.readUInt32BE(16), packetFrames: bytes.readUInt32BE(20), channels };
}

/** Number of valid frames, from the packet table; null if unknown. */
function cafFrames(table: Buffer, format: CafFormat | null): number | null {
  const [packets, valid] = [toNumber(table.readBigInt64BE(0)), toNumber(table.readBigInt64BE(8))];
  if (valid > 0) return valid;
  return format !== null && format.packetFrames > 0 ? packets * format.packetFrames : null;
}
