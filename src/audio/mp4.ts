/**
 * The MP4 family (ISO/IEC 14496-12): M4A, 3GP, 3G2, QuickTime. Sample descriptions often contain a wrong number of channels, and a wrong
 * sample rate for HE-AAC, so the configuration of the decoder takes precedence.
 */
import { AAC_RATES, AC3_CHANNELS } from './frames.ts';
import { MalformedFileError, type ParsedSound, type Source, toNumber } from './source.ts';

/** A box of the file. */
export interface Box {
  type: string;
  /** Range of its content. */
  start: number;
  end: number;
}

const CODECS: Readonly<Record<string, string>> = {
  alac: 'alac',
  Opus: 'opus',
  fLaC: 'flac',
  samr: 'amr_nb',
  sawb: 'amr_wb',
  'ac-3': 'ac3',
  'ec-3': 'eac3',
  '.mp3': 'mp3',
  'ms\0U': 'mp3',
  ima4: 'adpcm_ima_qt',
  ulaw: 'pcm_mulaw',
  alaw: 'pcm_alaw',
  in24: 'pcm_s24be',
  in32: 'pcm_s32be',
  fl32: 'pcm_f32be',
  fl64: 'pcm_f64be',
  'raw ': 'pcm_u8',
  dtsc: 'dts',
};
/** Codecs of `mp4a` entries, by the object type of the decoder. */
const OBJECT_TYPES: Readonly<Record<number, string>> = {
  64: 'aac',
  102: 'aac',
  103: 'aac',
  104: 'aac',
  105: 'mp3',
  107: 'mp3',
  165: 'ac3',
  166: 'eac3',
  169: 'dts',
  173: 'opus',
  221: 'vorbis',
};

/** @returns null if the file has a video track or no audio track */
export async function mp4Sound(source: Source): Promise<(ParsedSound & { fragmented: boolean }) | null> {
  const brand = (await source.readExactly(8, 4)).toString('latin1');
  const moov = await find(source, { type: '', start: 0, end: source.size }, 'moov');
  if (moov === null) throw new MalformedFileError();
  let movieScale = 0;
  let track: ParsedSound | null = null;
  let fragmented = false;
  for await (const box of boxes(source, moov)) {
    if (box.type === 'mvhd') movieScale = (await timesOf(source, box)).scale;
    if (box.type === 'mvex') fragmented = true;
    if (box.type !== 'trak') continue;
    const kind = await handlerOf(source, box);
    if (kind === 'vide') return null;
    if (kind === 'soun') track ??= await trackOf(source, box, movieScale);
  }
  if (track === null) return null;
  const mediaType = /^3g2/.test(brand) ? 'audio/3gpp2' : /^3g/.test(brand) ? 'audio/3gpp' : 'audio/mp4';
  return { ...track, mediaType, fragmented };
}

/** Iterates over the boxes in a box. @throws MalformedFileError, LimitExceededError */
export async function* boxes(source: Source, { start, end }: Box): AsyncGenerator<Box> {
  let position = start;
  while (position + 8 <= end) {
    const head = await source.read(position, 16);
    if (head.length < 8) return;
    const short = head.readUInt32BE(0);
    const header = short === 1 ? 16 : 8;
    if (head.length < header) return;
    const size = short === 1 ? toNumber(head.readBigUInt64BE(8)) : short === 0 ? end - position : short;
    if (size < header) throw new MalformedFileError();
    yield { type: head.toString('latin1', 4, 8), start: position + header, end: Math.min(end, position + size) };
    position += size;
  }
}

/** Finds the first box on a path. */
export async function find(source: Source, within: Box, ...path: string[]): Promise<Box | null> {
  const [type, ...rest] = path;
  if (type === undefined) return within;
  for await (const box of boxes(source, within)) if (box.type === type) return await find(source, box, ...rest);
  return null;
}

async function handlerOf(source: Source, track: Box): Promise<string> {
  const box = await find(source, track, 'mdia', 'hdlr');
  return box === null ? '' : (await source.read(box.start + 8, 4)).toString('latin1');
}

/** Reads time scale and duration of `mvhd` or `mdhd`, which begin alike. */
export async function timesOf(source: Source, { start }: Box): Promise<{ scale: number; length: number }> {
  const bytes = await source.readExactly(start, 32);
  if (bytes.readUInt8(0) === 1) return { scale: bytes.readUInt32BE(20), length: toNumber(bytes.readBigUInt64BE(24)) };
  return { scale: bytes.readUInt32BE(12), length: bytes.readUInt32BE(16) };
}

async function trackOf(source: Source, track: Box, movieScale: number): Promise<ParsedSound> {
  const header = await find(source, track, 'mdia', 'mdhd');
  const table = await find(source, track, 'mdia', 'minf', 'stbl', 'stsd');
  if (header === null || table === null) throw new MalformedFileError();
  const { scale, length } = await timesOf(source, header);
  const edited = await editedSeconds(source, track, movieScale);
  const unknown = length === 0 || length === 0xffffffff || scale === 0;
  const durationSeconds = edited ?? (unknown ? null : length / scale);
  const entry = await entryOf(source, table);
  if (entry.codec === 'mp3') entry.channels = (await mp3Channels(source, track)) ?? entry.channels;
  return { mediaType: '', durationSeconds, ...entry };
}

/** Reads the number of channels from the first MP3 frame (ISO/IEC 11172-3 §2.4.2.3), because encoders describe mono as stereo. */
async function mp3Channels(source: Source, track: Box): Promise<number | null> {
  const table = await find(source, track, 'mdia', 'minf', 'stbl');
  if (table === null) return null;
  for await (const box of boxes(source, table)) {
    if (box.type !== 'stco' && box.type !== 'co64') continue;
    const bytes = await source.read(box.start + 8, 8);
    if (bytes.length < 8) return null;
    const frame = await source.read(
      box.type === 'co64' ? toNumber(bytes.readBigUInt64BE(0)) : bytes.readUInt32BE(0),
      4,
    );
    const found = frame.length === 4 && frame.readUInt8(0) === 255 && frame.readUInt8(1) >= 224;
    return found ? (frame.readUInt8(3) >= 192 ? 1 : 2) : null;
  }
  return null;
}

/** Duration by the edit list, which removes the silence that encoders insert at the beginning; null without an edit list. */
async function editedSeconds(source: Source, track: Box, movieScale: number): Promise<number | null> {
  const list = await find(source, track, 'edts', 'elst');
  if (list === null || movieScale === 0) return null;
  const head = await source.readExactly(list.start, 8);
  const long = head.readUInt8(0) === 1;
  const bytes = await source.read(list.start + 8, Math.min(head.readUInt32BE(4), 64) * (long ? 20 : 12));
  let sum = 0;
  for (let at = 0; at + (long ? 20 : 12) <= bytes.length; at += long ? 20 : 12) {
    const length = long ? toNumber(bytes.readBigUInt64BE(at)) : bytes.readUInt32BE(at);
    const from = long ? toNumber(bytes.readBigInt64BE(at + 8)) : bytes.readInt32BE(at + 4);
    if (from >= 0) sum += length;
  }
  return sum > 0 ? sum / movieScale : null;
}

type Entry = Pick<ParsedSound, 'sampleRate' | 'channels' | 'codec'>;

/** Reads the first sample description (`AudioSampleEntry`) in any of its three versions. */
async function entryOf(source: Source, table: Box): Promise<Entry> {
  const start = table.start + 8;
  const bytes = await source.readExactly(start, 36);
  const end = Math.min(table.end, start + bytes.readUInt32BE(0));
  const type = bytes.toString('latin1', 4, 8);
  const version = bytes.readUInt16BE(16);
  const entry: Entry = {
    codec: CODECS[type] ?? null,
    channels: bytes.readUInt16BE(24),
    sampleRate: bytes.readUInt16BE(32),
  };
  const bits = bytes.readUInt16BE(26);
  if (type === 'sowt') entry.codec = `pcm_s${bits}le`;
  if (type === 'twos') entry.codec = bits === 8 ? 'pcm_s8' : `pcm_s${bits}be`;
  let content = start + 36;
  if (version === 1) content += 16;
  if (version === 2) {
    const more = await source.readExactly(content, 36);
    entry.sampleRate = Math.round(more.readDoubleBE(4));
    entry.channels = more.readUInt32BE(12);
    if (type === 'lpcm') entry.codec = linearPcm(more.readUInt32BE(20), more.readUInt32BE(24));
    content += 36;
  }
  await applyConfiguration(source, { type, start: content, end }, entry);
  return entry;
}

/** The codec of linear PCM, from the flags of QuickTime. */
function linearPcm(bits: number, flags: number): string | null {
  if (bits === 0 || bits > 64) return null;
  return `pcm_${(flags & 1) === 0 ? 's' : 'f'}${bits}${(flags & 2) === 0 ? 'le' : 'be'}`;
}

/** Overrides the sample description with the configuration of the decoder. */
async function applyConfiguration(source: Source, entry: Box, found: Entry): Promise<void> {
  if (entry.type === 'Opus') found.sampleRate = 48_000;
  if (entry.type === 'samr' || entry.type === 'sawb') {
    found.channels = 1;
    found.sampleRate = entry.type === 'samr' ? 8_000 : 16_000;
  }
  for await (const box of boxes(source, entry)) {
    if (box.type === 'wave') await applyConfiguration(source, { ...box, type: entry.type }, found);
    if (box.type === 'esds') await applyDescriptors(await source.read(box.start + 4, 256), found);
    // QuickTime: samples are little-endian.
    if (box.type === 'enda' && (await source.readExactly(box.start, 2)).readUInt16BE(0) !== 0)
      found.codec = found.codec?.replace(/be$/, 'le') ?? null;
    if (box.type === 'dac3')
      found.channels = ac3Channels((await source.readExactly(box.start, 2)).readUInt16BE(0) >> 2);
    if (box.type === 'dec3') found.channels = ac3Channels((await source.readExactly(box.start, 4)).readUInt16BE(2));
    if (box.type === 'dOps') found.channels = (await source.readExactly(box.start, 2)).readUInt8(1);
    if (box.type === 'alac' && box.end - box.start >= 28) {
      const bytes = await source.readExactly(box.start, 28);
      found.channels = bytes.readUInt8(13);
      found.sampleRate = bytes.readUInt32BE(24);
    }
  }
}

/** @param bits end with the channel mode and the flag of the low-frequency channel (ETSI TS 102 366, annex F) */
function ac3Channels(bits: number): number {
  return (AC3_CHANNELS[(bits >> 1) & 7] ?? 0) + (bits & 1);
}

/** Reads descriptors (ISO/IEC 14496-1 §7.2.6). Each has a tag, a length in up to four groups of seven bits, and its content. */
function applyDescriptors(bytes: Buffer, found: Entry): void {
  let at = 0;
  while (at + 2 <= bytes.length) {
    const tag = bytes.readUInt8(at);
    at += 1;
    let length = 0;
    for (let i = 0; i < 4 && at < bytes.length; i += 1) {
      const byte = bytes.readUInt8(at);
      at += 1;
      length = (length << 7) | (byte & 127);
      if (byte < 128) break;
    }
    if (tag === 3) {
      const flags = bytes[at + 2] ?? 0;
      at += 3 + ((flags & 128) !== 0 ? 2 : 0) + ((flags & 32) !== 0 ? 2 : 0);
      if ((flags & 64) !== 0) at += 1 + (bytes[at] ?? 0);
    } else if (tag === 4) {
      found.codec = OBJECT_TYPES[bytes[at] ?? 0] ?? found.codec;
      at += 13;
    } else if (tag === 5) {
      if (found.codec === 'aac') applyAacConfiguration(bytes.subarray(at, at + length), found);
      return;
    } else at += length;
  }
}

/** Reads an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). */
function applyAacConfiguration(bytes: Buffer, found: Entry): void {
  let at = 0;
  const take = (bits: number): number => {
    let value = 0;
    for (let i = 0; i < bits; i += 1, at += 1) value = value * 2 + (((bytes[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    return value;
  };
  const objectType = (): number => {
    const type = take(5);
    return type === 31 ? 32 + take(6) : type;
  };
  const rateOf = (): number | null => {
    const index = take(4);
    return index === 15 ? take(24) : (AAC_RATES[index] ?? null);
  };
  if (bytes.length < 2) return;
  const type = objectType();
  const rate = rateOf();
  const configuration = take(4);
  // HE-AAC also contains the doubled output rate. HE-AAC v2 decodes one channel to two.
  const doubled = type === 5 || type === 29 ? rateOf() : null;
  found.sampleRate = doubled ?? rate ?? found.sampleRate;
  if (configuration > 0) found.channels = configuration === 7 ? 8 : configuration;
  if (type === 29 && configuration === 1) found.channels = 2;
}
