/** Turns text into speech with espeak-ng. */
import { spawn } from 'node:child_process';

/** Sample rate of telephone audio, in Hz. */
export const SAMPLE_RATE = 8000;
/** Where the data chunk of a WAV file must begin at the latest, in bytes. */
const MAX_HEADER = 256;
const PATIENCE_MS = 20_000;

/**
 * Speaks a text: 16-bit samples, mono, 8 kHz. The text goes through a pipe, because command lines are visible in the process list.
 * @throws Error when espeak-ng is missing or fails
 */
export async function spoken(words: string, signal: AbortSignal): Promise<Int16Array> {
  const child = spawn('espeak-ng', ['--stdin', '--stdout', '-s', '130'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH ?? '' },
    timeout: PATIENCE_MS,
    signal,
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => output.push(data));
  child.stdin.on('error', () => {});
  child.stdin.end(words);
  await new Promise<void>((resolve, reject) => {
    child.on('error', (error) =>
      reject(new Error('espeak-ng, which speaks the code, cannot be started', { cause: error })),
    );
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`espeak-ng exited with code ${code}`))));
  });
  return resampled(Buffer.concat(output));
}

/** Converts the WAV output of espeak-ng (16-bit mono) to the sample rate of telephones. */
function resampled(wav: Buffer): Int16Array {
  const data = wav.subarray(0, MAX_HEADER).indexOf('data');
  if (data === -1 || wav.toString('latin1', 0, 4) !== 'RIFF') throw new Error('espeak-ng did not write a WAV file');
  const rate = wav.readUInt32LE(24);
  const first = data + 8;
  const count = Math.floor((wav.length - first) / 2);
  const ratio = rate / SAMPLE_RATE;
  const samples = new Int16Array(Math.floor(count / ratio));
  for (let n = 0; n < samples.length; n += 1) {
    // Average the input of each output sample; without this low-pass, high tones would alias into low ones.
    const from = Math.floor(n * ratio);
    const to = Math.max(from + 1, Math.floor((n + 1) * ratio));
    let sum = 0;
    for (let k = from; k < to; k += 1) sum += wav.readInt16LE(first + 2 * k);
    samples[n] = Math.round(sum / (to - from));
  }
  return samples;
}

/** The samples as a WAV file, with seconds of silence around them: people need a moment when they answer. */
export function wavOf(samples: Int16Array, { before = 1, after = 1 } = {}): Buffer {
  const bytes = 2 * (samples.length + (before + after) * SAMPLE_RATE);
  const wav = Buffer.alloc(44 + bytes);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + bytes, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(SAMPLE_RATE, 24);
  wav.writeUInt32LE(2 * SAMPLE_RATE, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(bytes, 40);
  const start = 44 + 2 * before * SAMPLE_RATE;
  for (const [n, sample] of samples.entries()) wav.writeInt16LE(sample, start + 2 * n);
  return wav;
}
