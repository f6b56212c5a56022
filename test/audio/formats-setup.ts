/** Helpers of the tests of formats. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { StoredBytes } from '../../src/audio/ranges.ts';
import { SoundReader } from '../../src/audio/sound-reader.ts';
import type { Sound } from '../../src/records/audio.ts';
import { without } from '../support/servers/programs.ts';

export const skip = without('ffmpeg') || without('ffprobe');

export const sounds = new SoundReader();

export function parse(bytes: Buffer): Promise<Sound | null> {
  const read: StoredBytes['read'] = async (into, position) => {
    const piece = bytes.subarray(position, position + into.length);
    into.set(piece);
    return piece.length;
  };
  return sounds.read('an owner', { size: bytes.length, read });
}

export interface Format {
  name: string;
  channels: number;
  rate: number;
  options: string[];
  type: string;
}

export function format(
  type: string,
  name: string,
  channels: number,
  rate: number,
  codec: string,
  ...more: string[]
): Format {
  return { name, channels, rate, type, options: ['-c:a', codec, ...more] };
}

/** Samples per frame, by codec. */
export const FRAME: Record<string, number> = {
  mp3: 1152,
  mp2: 1152,
  aac: 1024,
  opus: 960,
  wmav2: 2048,
  ac3: 1536,
  eac3: 1536,
  alac: 4096,
};

export interface Stream {
  codec_name: string;
  channels: number;
  sample_rate: string;
  duration?: string;
  nb_read_packets: string;
}

/** Properties of a file by ffprobe. For ADTS the duration is computed from the number of frames, because ffprobe only estimates it. */
export function probe(file: string): Sound {
  const args = ['-v', 'error', '-count_packets', '-show_streams', '-show_format', '-of', 'json', file];
  const { stdout } = spawnSync('ffprobe', args, { encoding: 'utf8' });
  const { streams, format } = JSON.parse(stdout) as {
    streams: Stream[];
    format: { duration: string; format_name: string };
  };
  const [stream] = streams;
  assert.ok(stream, `ffprobe found no stream in ${file}`);
  const sampleRate = Number(stream.sample_rate);
  const counted = (Number(stream.nb_read_packets) * 1024) / sampleRate;
  const durationSeconds = format.format_name === 'aac' ? counted : Number(stream.duration ?? format.duration);
  return { mediaType: '', durationSeconds, sampleRate, channels: stream.channels, codec: stream.codec_name };
}

/** Fails unless both agree, with a tolerance of one frame in the duration. */
export function assertAgree(found: Sound | null, expected: Sound, type: string, name: string): void {
  assert.ok(found, `${name} was refused`);
  const { durationSeconds, ...rest } = found;
  const { durationSeconds: probed, ...facts } = expected;
  assert.deepEqual(rest, { ...facts, mediaType: type }, name);
  const frame = (FRAME[facts.codec ?? ''] ?? 320) / (facts.sampleRate ?? 1);
  assert.ok(
    Math.abs((durationSeconds ?? -1) - (probed ?? 0)) <= frame + 0.001,
    `${name}: ${durationSeconds}, ${probed}`,
  );
}

/** Creates a file of two seconds with ffmpeg. @returns its path */
export async function make(folder: string, { name, channels, rate, options }: Format): Promise<string> {
  const file = join(folder, name);
  const tone = ['-f', 'lavfi', '-i', `sine=frequency=440:duration=2:sample_rate=${rate}`, '-ac', String(channels)];
  const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-y', ...tone, ...options, file], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, `${name}: ${stderr}`);
  return file;
}
