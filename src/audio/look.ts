/** What is to be heard in a stored file: by its content, never by its name. Only a bounded part of it is read, by ranges. */
import { fileTypeFromTokenizer } from 'file-type';
import { type IFormat, parseFromTokenizer, UnsupportedFileTypeError } from 'music-metadata';
import type { Sound } from '../contracts.ts';
import { MOST_BYTES, RangeTokenizer, type Stored, TooMuch } from './ranges.ts';

/** Containers of films, which may hold sound alone. */
const CONTAINERS: ReadonlySet<string> = new Set([
  'video/mp4',
  'video/quicktime',
  'video/webm',
  'video/ogg',
  'video/matroska',
  'video/x-ms-asf',
]);
/** Names that browsers know better. */
const KNOWN_AS: Readonly<Record<string, string>> = {
  'audio/x-m4a': 'audio/mp4',
  'audio/quicktime': 'audio/mp4',
  'audio/x-ms-asf': 'audio/x-ms-wma',
};
const OGG_HEAD_BYTES = 1024 ** 2;
const OGG_TAIL_BYTES = 128 * 1024;

/**
 * Null when it is no audio file, or a broken one. Runs in the thread of `workers/sound.ts`: its time and memory depend on the file.
 * @throws what the disk fails with, an Error with a `code`
 */
export async function lookAt(stored: Stored): Promise<Sound | null> {
  const found = await fileTypeFromTokenizer(new RangeTokenizer(stored)).catch(noAudio);
  if (!found) return null;
  const container = CONTAINERS.has(found.mime);
  if (!container && !found.mime.startsWith('audio/')) return null;
  const format = await formatOf(stored, found.mime).catch(noAudio);
  if (!format) return null;
  if (container && (format.hasVideo !== false || format.hasAudio !== true)) return null;
  const mediaType = found.mime.replace(/^video\//, 'audio/');
  return {
    mediaType: KNOWN_AS[mediaType] ?? mediaType,
    durationSeconds: positive(format.duration),
    sampleRate: whole(format.sampleRate),
    channels: whole(format.numberOfChannels),
    codec: format.codec ?? null,
  };
}

/** Parsers fail on broken files in ways of their own; what the disk fails with goes on. */
function noAudio(error: unknown): null {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') throw error;
  return null;
}

/** @returns null for an audio file that is broken */
async function formatOf(stored: Stored, mime: string): Promise<IFormat | null> {
  if (/\/ogg\b/.test(mime) && stored.size > MOST_BYTES) return formatOfLongOgg(stored);
  const tokenizer = new RangeTokenizer(stored);
  tokenizer.fileInfo = { size: stored.size, mimeType: mime };
  try {
    const { format } = await parseFromTokenizer(tokenizer, { skipCovers: true });
    return format.sampleRate === undefined && format.codec === undefined ? null : format;
  } catch (error) {
    // Sound for sure, of which no more is to be known.
    if (error instanceof TooMuch || error instanceof UnsupportedFileTypeError) return NOTHING_KNOWN;
    throw error;
  }
}

const NOTHING_KNOWN = { hasAudio: true } as IFormat;

/** Ogg says at its end alone how long it is (RFC 3533 §6), and between there and the beginning there is nothing to know. */
async function formatOfLongOgg({ size, read }: Stored): Promise<IFormat | null> {
  const format = await formatOf({ size: OGG_HEAD_BYTES, read }, 'audio/ogg');
  const tail = Buffer.alloc(OGG_TAIL_BYTES);
  const length = await read(tail, size - tail.length);
  const page = tail.subarray(0, length).lastIndexOf('OggS', length - 14);
  if (format === null || page === -1) return format;
  const rate = format.codec?.startsWith('Opus') ? 48_000 : format.sampleRate;
  const samples = Number(tail.readBigInt64LE(page + 6));
  const { duration: _ofTheHead, ...rest } = format;
  return rate && samples > 0 ? { ...rest, duration: samples / rate } : rest;
}

function positive(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) && value >= 0 ? Math.round(value * 1000) / 1000 : null;
}

function whole(value: number | undefined): number | null {
  return value !== undefined && Number.isInteger(value) && value > 0 ? value : null;
}
