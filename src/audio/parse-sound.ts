/** What is to be heard in a stored file: by its content, never by its name. Only a bounded part of it is read, by ranges. */
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

/** Containers of films, which may hold sound alone. */
const CONTAINERS: ReadonlySet<string> = new Set(['video/webm', 'video/ogg', 'video/matroska']);
const OGG_HEAD_BYTES = 1024 ** 2;
const OGG_TAIL_BYTES = 128 * 1024;

/**
 * Null when it is no audio file, or a broken one. Runs in the thread of `workers/sound.ts`: its time and memory depend on the file.
 * @throws what the disk fails with, an Error with a `code`
 */
export async function parseSound(stored: StoredBytes): Promise<Sound | null> {
  const own = await parseKnownFormat(stored).catch(nullIfUnparsable);
  if (own !== undefined) return own;
  const found = await fileTypeFromTokenizer(new RangeTokenizer(stored)).catch(nullIfUnparsable);
  if (!found) return null;
  const container = CONTAINERS.has(found.mime);
  if (!container && !found.mime.startsWith('audio/')) return null;
  const format = await formatOf(stored, found.mime).catch(nullIfUnparsable);
  if (!format) return null;
  if (container && (format.hasVideo !== false || format.hasAudio !== true)) return null;
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
    // Opus is always decoded at this rate; the header says that of the original (RFC 7845 §5.1).
    sampleRate: codec === 'opus' ? 48_000 : (format.sampleRate ?? null),
    channels: all ?? format.numberOfChannels ?? null,
    codec,
  });
}

/** Undefined for what the metadata library reads. */
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

/** ID3v2 tags are put in front of anything (ID3v2.4 §3.1). */
async function skipTag(source: Source): Promise<number> {
  const head = await source.read(0, 10);
  if (head.length < 10 || head.toString('latin1', 0, 3) !== 'ID3') return 0;
  const [a = 0, b = 0, c = 0, d = 0] = head.subarray(6);
  const footer = ((head[5] ?? 0) & 16) === 0 ? 0 : 10;
  return 10 + footer + (((a & 127) << 21) | ((b & 127) << 14) | ((c & 127) << 7) | (d & 127));
}

/** Two heads of frames one after the other: one alone may be chance. */
async function isAdts(source: Source, start: number, head: Buffer): Promise<boolean> {
  const first = adtsFrame(head);
  if (first === null) return false;
  const second = await source.read(start + first.bytes, 7);
  return second.length < 7 || adtsFrame(second)?.rate === first.rate;
}

/** Fragmented files: only the library can tell their duration. */
async function mp4(source: Source, stored: StoredBytes): Promise<ParsedSound | null> {
  const found = await mp4Sound(source);
  if (!found?.fragmented || found.durationSeconds !== null) return found;
  const format = await formatOf(stored, 'audio/mp4').catch(nullIfUnparsable);
  const durationSeconds = format?.duration ?? (await fragmentSeconds(new Source(stored)).catch(nullIfUnparsable));
  return { ...found, durationSeconds };
}

/** Parsers fail on broken files in ways of their own; what the disk fails with goes on. */
function nullIfUnparsable(error: unknown): null {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') throw error;
  return null;
}

/** @returns null for an audio file that is broken */
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
    // Sound for sure, of which no more is to be known.
    if (error instanceof LimitExceededError) return UNKNOWN_FORMAT;
    if (error instanceof UnsupportedFileTypeError) return null;
    throw error;
  }
}

const UNKNOWN_FORMAT = { hasAudio: true } as IFormat;

/** Ogg says at its end alone how long it is (RFC 3533 §6), and between there and the beginning there is nothing to know. */
async function formatOfLongOgg({ size, read }: StoredBytes): Promise<IFormat | null> {
  const format = await formatOf({ size: OGG_HEAD_BYTES, read }, 'audio/ogg');
  return format && (await withOggDuration({ size, read }, format));
}

async function withOggDuration({ size, read }: StoredBytes, format: IFormat): Promise<IFormat> {
  const tail = Buffer.alloc(Math.min(size, OGG_TAIL_BYTES));
  const length = await read(tail, size - tail.length);
  const page = tail.subarray(0, length).lastIndexOf('OggS', length - 14);
  if (page === -1) return format;
  const rate = format.codec?.startsWith('Opus') ? 48_000 : format.sampleRate;
  const samples = Number(tail.readBigInt64LE(page + 6));
  const { duration: _ofTheHead, ...rest } = format;
  return rate && samples > 0 ? { ...rest, duration: samples / rate } : rest;
}
