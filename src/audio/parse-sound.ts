/** Determines format, duration and codec of a sound file from its content. Reads a bounded part of the file. */
import { fileTypeFromTokenizer } from 'file-type';
import { type IFormat, parseFromTokenizer, UnsupportedFileTypeError } from 'music-metadata';
import type { Sound } from '../records/audio.ts';
import { ASF_HEADER, asfSound } from './asf.ts';
import { codecName } from './codecs.ts';
import { fragmentSeconds } from './fragments.ts';
import { AMR_MAGIC, AMR_WB_MAGIC, ac3Sound, adtsFrame, adtsSound, amrSound } from './frames.ts';
import { matroskaBits, wavpackChannels } from './metadata-gaps.ts';
import { mp4Sound } from './mp4.ts';
import { aiffSound, auSound, cafSound } from './plain.ts';
import { LimitExceededError, MAX_BYTES, RangeTokenizer, type StoredBytes } from './ranges.ts';
import { type ParsedSound, Source, soundOf } from './source.ts';
import { waveSound } from './wave.ts';

/** Video containers, which may contain audio only. */
const CONTAINERS: ReadonlySet<string> = new Set(['video/webm', 'video/ogg', 'video/matroska']);
const OGG_HEAD_BYTES = 1024 ** 2;
const OGG_TAIL_BYTES = 128 * 1024;

/**
 * Parses a file. Null if it is not an audio file, or malformed. Runs in the thread of `workers/sound.ts`, because time and memory depend on
 * the content.
 * @throws Error with a `code` if the file cannot be read
 */
export async function parseSound(stored: StoredBytes): Promise<Sound | null> {
  const parsed = await parseKnownFormat(stored).catch(nullIfUnparsable);
  if (parsed !== undefined) return parsed;
  const found = await fileTypeFromTokenizer(new RangeTokenizer(stored)).catch(nullIfUnparsable);
  if (!found) return null;
  const isContainer = CONTAINERS.has(found.mime);
  if (!isContainer && !found.mime.startsWith('audio/')) return null;
  const format = await formatOf(stored, found.mime).catch(nullIfUnparsable);
  if (!format) return null;
  if (isContainer && (format.hasVideo !== false || format.hasAudio !== true)) return null;
  const source = new Source(stored);
  const pcm = found.mime === 'video/matroska' && format.codec?.startsWith('PCM') === true;
  const bitsPerSample = format.bitsPerSample ?? (pcm ? await matroskaBits(source).catch(nullIfUnparsable) : null);
  const codec = codecName(
    found.mime,
    bitsPerSample === null || bitsPerSample === undefined ? format : { ...format, bitsPerSample },
  );
  const all = found.mime === 'audio/wavpack' ? await wavpackChannels(source).catch(nullIfUnparsable) : null;
  return soundOf({
    mediaType: found.mime.replace(/^video\//, 'audio/'),
    durationSeconds: format.duration ?? null,
    // Opus is always decoded at this rate. The header contains the rate of the original input (RFC 7845 §5.1).
    sampleRate: codec === 'opus' ? 48_000 : (format.sampleRate ?? null),
    channels: all ?? format.numberOfChannels ?? null,
    codec,
  });
}

/** Parses the formats that have a parser here. Undefined for all others, which the metadata library parses. */
async function parseKnownFormat(stored: StoredBytes): Promise<Sound | null | undefined> {
  const source = new Source(stored);
  const start = await skipTag(source);
  const head = await source.read(start, 16);
  const text = head.toString('latin1');
  let found: Promise<ParsedSound | null> | null = null;
  if (/^(?:RIFF|RF64|BW64)....WAVE/s.test(text)) found = waveSound(source, start);
  else if (await isAdts(source, start, head)) found = adtsSound(source, start);
  else if (start > 0) return undefined;
  else if (/^FORM....AIF[FC]/s.test(text)) found = aiffSound(source);
  else if (text.startsWith('.snd')) found = auSound(source);
  else if (text.startsWith('caff')) found = cafSound(source);
  else if (text.startsWith(AMR_MAGIC) || text.startsWith(AMR_WB_MAGIC)) found = amrSound(source);
  else if (text.startsWith('\x0b\x77')) found = ac3Sound(source);
  else if (head.toString('hex') === ASF_HEADER) found = asfSound(source);
  else if (text.slice(4, 8) === 'ftyp' && !/^(?:avif|avis|heic|heix|hevc|mif1|msf1|crx )/.test(text.slice(8)))
    found = mp4(source, stored);
  if (found === null) return undefined;
  const sound = await found;
  return sound && soundOf(sound);
}

/** Position after an ID3v2 tag, which may precede any format (ID3v2.4 §3.1). */
async function skipTag(source: Source): Promise<number> {
  const head = await source.read(0, 10);
  if (head.length < 10 || head.toString('latin1', 0, 3) !== 'ID3') return 0;
  const [a = 0, b = 0, c = 0, d = 0] = head.subarray(6);
  const footer = ((head[5] ?? 0) & 16) === 0 ? 0 : 10;
  return 10 + footer + (((a & 127) << 21) | ((b & 127) << 14) | ((c & 127) << 7) | (d & 127));
}

/** True if two frame headers follow one another. A single match may be a coincidence. */
async function isAdts(source: Source, start: number, head: Buffer): Promise<boolean> {
  const first = adtsFrame(head);
  if (first === null) return false;
  const second = await source.read(start + first.bytes, 7);
  return second.length < 7 || adtsFrame(second)?.rate === first.rate;
}

/** Parses an MP4 file. The duration of fragmented files comes from the metadata library, or from the sum of all samples. */
async function mp4(source: Source, stored: StoredBytes): Promise<ParsedSound | null> {
  const found = await mp4Sound(source);
  if (!found?.fragmented || found.durationSeconds !== null) return found;
  const format = await formatOf(stored, 'audio/mp4').catch(nullIfUnparsable);
  const durationSeconds = format?.duration ?? (await fragmentSeconds(new Source(stored)).catch(nullIfUnparsable));
  return { ...found, durationSeconds };
}

/** Handles the errors of parsers, which differ for malformed files. Rethrows errors of the storage. */
function nullIfUnparsable(error: unknown): null {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') throw error;
  return null;
}

/** Parses a file with the metadata library. Null if it is malformed. */
async function formatOf(stored: StoredBytes, mime: string): Promise<IFormat | null> {
  const isOgg = /\/ogg\b/.test(mime);
  if (isOgg && stored.size > MAX_BYTES) return formatOfLongOgg(stored);
  const tokenizer = new RangeTokenizer(stored);
  tokenizer.fileInfo = { size: stored.size, mimeType: mime };
  try {
    const { format } = await parseFromTokenizer(tokenizer, { skipCovers: true });
    if (isOgg && format.duration === undefined) return await withOggDuration(stored, format);
    return format.sampleRate === undefined && format.codec === undefined ? null : format;
  } catch (error) {
    // The file is audio, but its metadata lies beyond the read limit.
    if (error instanceof LimitExceededError) return UNKNOWN_FORMAT;
    if (error instanceof UnsupportedFileTypeError) return null;
    throw error;
  }
}

const UNKNOWN_FORMAT = { hasAudio: true } as IFormat;

/** Parses the beginning and the end of a long Ogg file. The last page contains the duration (RFC 3533 §6). */
async function formatOfLongOgg({ size, read }: StoredBytes): Promise<IFormat | null> {
  const format = await formatOf({ size: OGG_HEAD_BYTES, read }, 'audio/ogg');
  return format && (await withOggDuration({ size, read }, format));
}

/** Adds the duration from the last page. */
async function withOggDuration({ size, read }: StoredBytes, format: IFormat): Promise<IFormat> {
  const tail = Buffer.alloc(Math.min(size, OGG_TAIL_BYTES));
  const length = await read(tail, size - tail.length);
  const page = tail.subarray(0, length).lastIndexOf('OggS', length - 14);
  if (page === -1) return format;
  const rate = format.codec?.startsWith('Opus') ? 48_000 : format.sampleRate;
  const samples = Number(tail.readBigInt64LE(page + 6));
  const { duration: _, ...rest } = format;
  return rate && samples > 0 ? { ...rest, duration: samples / rate } : rest;
}
