/** Audio files for tests: WAV from this module, other formats from ffmpeg if it is installed. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A tone as 16-bit PCM in a RIFF WAVE file. */
export function wav({ seconds = 1, rate = 8000, channels = 1 } = {}): Buffer {
  const samples = Math.round(seconds * rate);
  const data = Buffer.alloc(samples * channels * 2);
  for (let i = 0; i < samples * channels; i += 1) data.writeInt16LE(Math.round(8000 * Math.sin(i / 5)), i * 2);
  return Buffer.concat([wavHeader(data.length, rate, channels), data]);
}

/** The 44 bytes of a WAV header for `dataBytes` bytes of 16-bit samples. */
export function wavHeader(dataBytes: number, rate = 8000, channels = 1): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(Math.min(36 + dataBytes, 0xffffffff), 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(channels, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * channels * 2, 28);
  header.writeUInt16LE(channels * 2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(Math.min(dataBytes, 0xffffffff), 40);
  return header;
}

export const hasFfmpeg = spawnSync('ffmpeg', ['-version']).error === undefined;

/** Two seconds of a stereo tone at 48 kHz, in the format of the extension of `name`. */
export async function encoded(name: string, ...options: string[]): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-audio-'));
  try {
    const file = join(folder, name);
    const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=2:sample_rate=48000', '-ac', '2'];
    const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', ...tone, ...options, file], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ffmpeg: ${stderr}`);
    return await readFile(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
