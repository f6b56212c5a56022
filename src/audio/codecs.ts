/** Translates the codec names of the metadata library into those of ffprobe, which users know. */
import type { IFormat } from 'music-metadata';

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^MPEG [\d.]+ Layer (?:3|III)$|^MPEG\/L3$/i, 'mp3'],
  [/^MPEG [\d.]+ Layer (?:2|II)$|^MPEG\/L2$/i, 'mp2'],
  [/^MPEG [\d.]+ Layer (?:1|I)$|^MPEG\/L1$/i, 'mp1'],
  [/^Vorbis/i, 'vorbis'],
  [/^Opus/i, 'opus'],
  [/^Speex/i, 'speex'],
  [/^FLAC/i, 'flac'],
  [/AAC/i, 'aac'],
  [/^ALAC/i, 'alac'],
  [/^E-?AC-?3/i, 'eac3'],
  [/^AC-?3/i, 'ac3'],
  [/^DTS/i, 'dts'],
  [/^TRUEHD/i, 'truehd'],
  [/^Monkey/i, 'ape'],
];

/** The name of a codec; null if the library does not report one. */
export function codecName(mime: string, { codec, bitsPerSample = 16 }: IFormat): string | null {
  if (mime === 'audio/wavpack') return 'wavpack';
  if (codec === undefined) return null;
  if (codec === 'PCM/INT/LIT') return bitsPerSample === 8 ? 'pcm_u8' : `pcm_s${bitsPerSample}le`;
  if (codec === 'PCM/INT/BIG') return `pcm_s${bitsPerSample}be`;
  if (codec === 'PCM/FLOAT/IEEE') return `pcm_f${bitsPerSample}le`;
  return NAMES.find(([pattern]) => pattern.test(codec))?.[1] ?? codec.toLowerCase();
}
