/** Parsing reads a bounded part of a file. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { MAX_BYTES, type StoredBytes } from '../../src/audio/ranges.ts';
import { SoundReader } from '../../src/audio/sound-reader.ts';
import type { Sound } from '../../src/records/audio.ts';
import { encoded, hasFfmpeg, wav, wavHeader } from '../support/audio.ts';
import { seeded } from '../support/random.ts';

const skip = hasFfmpeg ? false : 'ffmpeg is not installed';

const sounds = new SoundReader();
after(() => sounds.close());

function readSound(file: StoredBytes): Promise<Sound | null> {
  return sounds.read('an owner', file);
}

/** Counts the bytes that are read. */
function stored(bytes: Uint8Array, size = bytes.length): StoredBytes & { bytesRead: number } {
  const file = {
    size,
    bytesRead: 0,
    read: async (into: Uint8Array, position: number): Promise<number> => {
      const piece = bytes.subarray(position, position + into.length);
      into.set(piece);
      const beyond = Math.max(0, Math.min(into.length, size - position) - piece.length);
      file.bytesRead += piece.length + beyond;
      return piece.length + beyond;
    },
  };
  return file;
}

test('less than a megabyte of a WAV file of gigabytes is read', async () => {
  const file = stored(wavHeader(4_000_000_000, 48_000, 2), 4_000_000_044);
  const sound = await readSound(file);
  assert.equal(sound?.mediaType, 'audio/wav');
  assert.ok(Math.abs((sound?.durationSeconds ?? 0) - 20_833.333) < 0.01);
  assert.ok(file.bytesRead < 1_000_000, `${file.bytesRead}`);
});

test('the duration of a long Ogg recording is read from its beginning and end', { skip }, async (t) => {
  for (const [name, codec, options] of [
    ['a.ogg', 'vorbis', ['-c:a', 'libvorbis', '-q:a', '10']],
    ['a.opus', 'opus', ['-c:a', 'libopus', '-b:a', '450k', '-vbr', 'off']],
  ] as const) {
    await t.test(codec, async () => {
      const noise = ['-f', 'lavfi', '-i', 'anoisesrc=duration=170:sample_rate=48000:seed=1', '-map', '1:a', '-ac', '2'];
      const bytes = await encoded(name, ...noise, ...options, '-t', '170');
      assert.ok(bytes.length > MAX_BYTES, `${bytes.length} bytes are not a long file`);
      const file = stored(bytes);
      const sound = await readSound(file);
      assert.ok(sound);
      assert.ok(sound.codec?.startsWith(codec), String(sound.codec));
      assert.ok(Math.abs((sound.durationSeconds ?? 0) - 170) < 1, `${sound.durationSeconds}`);
      assert.equal(sound.sampleRate, 48_000);
      assert.ok(file.bytesRead < MAX_BYTES, `${file.bytesRead}`);
    });
  }
});

const NAMES = [
  ...['a.mp3', 'a.flac', 'a.ogg', 'a.m4a', 'a.mov', 'a.3gp', 'a.wav', 'a.webm', 'a.aiff', 'a.au', 'a.caf'],
  ...['a.wma', 'a.aac', 'a.ac3'],
];

test('malformed files cause neither long reads nor errors', { skip }, async (t) => {
  const random = seeded(t);
  for (const name of NAMES) {
    const whole = await encoded(name, ...(name === 'a.3gp' ? ['-c:a', 'aac'] : []));
    for (let round = 0; round < 40; round += 1) {
      const bytes = Buffer.from(whole.subarray(0, Math.ceil(whole.length * random.unit())));
      // Keeps the first bytes, which identify the format.
      for (let i = 0; i < 20; i += 1) {
        const at = random.int(12, Math.min(2000, bytes.length) + 11);
        if (at < bytes.length) bytes[at] = random.int(0, 255);
      }
      // Sets sizes and counts to their maximum or minimum.
      if (round % 2 === 0) {
        const at = random.int(4, 200);
        bytes.subarray(at, at + random.int(1, 8)).fill(round % 4 === 0 ? 0xff : 0);
      }
      const file = stored(bytes);
      const sound = await readSound(file);
      assert.ok(sound === null || sound.mediaType.startsWith('audio/'));
      assert.ok(file.bytesRead <= 2 * MAX_BYTES + 1_000_000, `${name}: ${file.bytesRead}`);
    }
  }
});

test('a file without audio is reported as such', async () => {
  for (const bytes of [
    randomBytes(100_000),
    Buffer.alloc(0),
    Buffer.alloc(1),
    Buffer.from('ID3'),
    wav().subarray(0, 30),
  ]) {
    assert.equal(await readSound(stored(bytes)), null);
  }
});

test('an error of the storage is reported, and the next file is parsed', async () => {
  const failing: StoredBytes = {
    size: 1000,
    read: () => Promise.reject(Object.assign(new Error('broken'), { code: 'EIO' })),
  };
  await assert.rejects(readSound(failing), { code: 'EIO' });
  assert.equal((await readSound(stored(wav())))?.mediaType, 'audio/wav');
});
