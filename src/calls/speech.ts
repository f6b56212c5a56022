/** Words as sound, spoken by espeak-ng. */
import { spawn } from 'node:child_process';

/** What telephones carry. */
export const SAMPLE_RATE = 8000;
/** Of the head of a WAV file. */
const MAX_HEADER = 256;
const PATIENCE_MS = 20_000;

/**
 * 16-bit samples of one channel at 8 kHz. The words travel through a pipe: whoever lists the processes of the machine must not see them.
 * @throws Error when espeak-ng is missing or fails
 */
export async function spoken(words: string, signal: AbortSignal): Promise<Int16Array> {
  const child = spawn('espeak-ng', ['--stdin', '--stdout', '-s', '130'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH ?? '' },
    timeout: PATIENCE_MS,
    signal,
  });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  child.stdin.on('error', () => {});
  child.stdin.end(words);
  await new Promise<void>((resolve, reject) => {
    child.on('error', (error) =>
      reject(new Error('espeak-ng, which speaks the code, cannot be started', { cause: error })),
    );
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`espeak-ng ended with ${code}`))));
  });
  return resampled(Buffer.concat(pieces));
}

/** From the WAV that espeak-ng writes (16 bits, one channel) to the rate of telephones. */
function resampled(wav: Buffer): Int16Array {
  const data = wav.subarray(0, MAX_HEADER).indexOf('data');
  if (data === -1 || wav.toString('latin1', 0, 4) !== 'RIFF') throw new Error('espeak-ng wrote no WAV');
  const rate = wav.readUInt32LE(24);
  const first = data + 8;
  const count = Math.floor((wav.length - first) / 2);
  const ratio = rate / SAMPLE_RATE;
  const samples = new Int16Array(Math.floor(count / ratio));
  for (let n = 0; n < samples.length; n += 1) {
    // The mean of what falls into one sample: without it high tones come back as low ones.
    const from = Math.floor(n * ratio);
    const to = Math.max(from + 1, Math.floor((n + 1) * ratio));
    let sum = 0;
    for (let k = from; k < to; k += 1) sum += wav.readInt16LE(first + 2 * k);
    samples[n] = Math.round(sum / (to - from));
  }
  return samples;
}

/** The samples as a WAV file, with silence around them: who answers a telephone needs a moment. */
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
