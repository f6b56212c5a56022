/** Compares the parsed properties of files of many formats, created by ffmpeg, with those that ffprobe reports. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { wav } from '../support/audio.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { assertAgree, type Format, format, make, parse, probe, skip, sounds } from './formats-setup.ts';

after(() => sounds.close());

const FORMATS: Format[] = [
  format('audio/wav', 'plain.wav', 1, 8_000, 'pcm_s16le'),
  format('audio/wav', 'u8.wav', 1, 8_000, 'pcm_u8'),
  format('audio/wav', 's24.wav', 2, 48_000, 'pcm_s24le'),
  format('audio/wav', 's32.wav', 2, 48_000, 'pcm_s32le'),
  format('audio/wav', 'float.wav', 2, 44_100, 'pcm_f32le'),
  format('audio/wav', 'double.wav', 2, 44_100, 'pcm_f64le'),
  format('audio/wav', 'surround.wav', 6, 48_000, 'pcm_s16le'),
  format('audio/wav', 'surround24.wav', 6, 48_000, 'pcm_s24le'),
  format('audio/wav', 'alaw.wav', 1, 8_000, 'pcm_alaw'),
  format('audio/wav', 'mulaw.wav', 1, 8_000, 'pcm_mulaw'),
  format('audio/wav', 'ima.wav', 1, 22_050, 'adpcm_ima_wav'),
  format('audio/wav', 'ms.wav', 2, 22_050, 'adpcm_ms'),
  format('audio/wav', 'mp3.wav', 2, 44_100, 'libmp3lame'),
  format('audio/wav', 'gsm.wav', 1, 8_000, 'libgsm_ms'),
  format('audio/wav', 'rf64.wav', 2, 48_000, 'pcm_s16le', '-rf64', 'always'),
  format('audio/wav', 'bwf.wav', 1, 48_000, 'pcm_s24le', '-write_bext', '1', '-metadata', 'description=a tone'),
  format('audio/mpeg', 'mono.mp3', 1, 44_100, 'libmp3lame', '-b:a', '64k'),
  format('audio/mpeg', 'vbr.mp3', 2, 44_100, 'libmp3lame', '-q:a', '2'),
  format('audio/mpeg', 'cbr.mp3', 2, 44_100, 'libmp3lame', '-b:a', '128k', '-write_xing', '0'),
  format('audio/mpeg', 'tagged.mp3', 2, 44_100, 'libmp3lame', '-id3v2_version', '3', '-metadata', 'title=A tone'),
  format('audio/mp4', 'mp3-mono.mp4', 1, 44_100, 'libmp3lame'),
  format('audio/mp4', 'mp3-stereo.mp4', 2, 44_100, 'libmp3lame'),
  format('audio/mpeg', 'low.mp3', 1, 16_000, 'libmp3lame', '-b:a', '32k'),
  format('audio/mpeg', 'a.mp2', 2, 44_100, 'mp2'),
  format('audio/aac', 'mono.aac', 1, 44_100, 'aac'),
  format('audio/aac', 'stereo.aac', 2, 44_100, 'aac'),
  format('audio/mp4', 'mono.m4a', 1, 22_050, 'aac'),
  format('audio/mp4', 'stereo.m4a', 2, 44_100, 'aac'),
  format('audio/mp4', 'surround.m4a', 6, 48_000, 'aac'),
  format('audio/mp4', 'alac.m4a', 2, 44_100, 'alac'),
  format('audio/mp4', 'fragments.m4a', 2, 44_100, 'aac', '-movflags', 'frag_keyframe+empty_moov'),
  format('audio/mp4', 'faststart.m4a', 2, 44_100, 'aac', '-movflags', 'faststart'),
  format('audio/mp4', 'a.mp4', 2, 48_000, 'aac'),
  format('audio/mp4', 'opus.mp4', 2, 48_000, 'libopus'),
  format('audio/mp4', 'flac.mp4', 1, 44_100, 'flac', '-strict', '-2'),
  format('audio/mp4', 'pcm.mov', 2, 48_000, 'pcm_s16le'),
  format('audio/mp4', 'pcm24.mov', 1, 96_000, 'pcm_s24be'),
  format('audio/3gpp', 'a.3gp', 1, 16_000, 'aac'),
  format('audio/3gpp2', 'a.3g2', 2, 16_000, 'aac'),
  format('audio/ogg; codecs=opus', 'mono.opus', 1, 48_000, 'libopus'),
  format('audio/ogg; codecs=opus', 'stereo.opus', 2, 48_000, 'libopus'),
  format('audio/ogg', 'mono.ogg', 1, 22_050, 'libvorbis'),
  format('audio/ogg', 'stereo.ogg', 2, 44_100, 'libvorbis'),
  format('audio/ogg', 'speex.ogg', 1, 16_000, 'libspeex'),
  format('audio/ogg', 'flac.ogg', 2, 44_100, 'flac'),
  format('audio/flac', 'a.flac', 2, 44_100, 'flac'),
  format('audio/flac', 'a24.flac', 2, 96_000, 'flac', '-sample_fmt', 's32'),
  format('audio/aiff', 'a.aiff', 2, 44_100, 'pcm_s16be'),
  format('audio/aiff', 'a24.aiff', 2, 48_000, 'pcm_s24be'),
  format('audio/aiff', 'little.aiff', 2, 44_100, 'pcm_s16le'),
  format('audio/aiff', 'mulaw.aifc', 1, 8_000, 'pcm_mulaw', '-f', 'aiff'),
  format('audio/aiff', 'float.aifc', 1, 8_000, 'pcm_f32be', '-f', 'aiff'),
  format('audio/basic', 'a.au', 2, 44_100, 'pcm_s16be'),
  format('audio/basic', 'mulaw.au', 1, 8_000, 'pcm_mulaw'),
  format('audio/x-caf', 'a.caf', 2, 44_100, 'pcm_s16be'),
  format('audio/x-caf', 'little.caf', 1, 44_100, 'pcm_s24le'),
  format('audio/x-caf', 'alac.caf', 2, 44_100, 'alac'),
  format('audio/webm', 'opus.webm', 2, 48_000, 'libopus'),
  format('audio/webm', 'vorbis.webm', 2, 44_100, 'libvorbis'),
  format('audio/matroska', 'flac.mka', 2, 44_100, 'flac'),
  format('audio/matroska', 'aac.mka', 2, 44_100, 'aac'),
  format('audio/matroska', 'pcm.mka', 2, 44_100, 'pcm_s16le'),
  format('audio/x-ms-wma', 'a.wma', 2, 44_100, 'wmav2'),
  format('audio/ac3', 'stereo.ac3', 2, 48_000, 'ac3'),
  format('audio/ac3', 'surround.ac3', 6, 48_000, 'ac3'),
  format('audio/wavpack', 'a.wv', 2, 44_100, 'wavpack'),
  format('audio/wavpack', 'surround.wv', 6, 48_000, 'wavpack'),
  format('audio/mp4', 'little24.mov', 2, 48_000, 'pcm_s24le'),
  format('audio/mp4', 'little-float.mov', 2, 48_000, 'pcm_f32le'),
  format('audio/mp4', 'mulaw.mov', 1, 8_000, 'pcm_mulaw'),
  format('audio/mp4', 'fragments.mov', 2, 48_000, 'pcm_s16le', '-movflags', 'frag_keyframe+empty_moov'),
  format('audio/mp4', 'ac3.mp4', 6, 48_000, 'ac3'),
  format('audio/mp4', 'ac3-mono.mp4', 1, 48_000, 'ac3'),
  format('audio/mp4', 'eac3.mp4', 6, 48_000, 'eac3'),
  format('audio/matroska', 'pcm24.mka', 2, 96_000, 'pcm_s24le'),
  format('audio/matroska', 'float.mka', 2, 48_000, 'pcm_f32le'),
  format('audio/matroska', 'mp3.mka', 2, 44_100, 'libmp3lame'),
  format('audio/ogg; codecs=opus', 'low.opus', 1, 16_000, 'libopus'),
  format('audio/ogg; codecs=opus', 'surround.opus', 6, 48_000, 'libopus', '-mapping_family', '1'),
  format('audio/wav', 'g722.wav', 1, 16_000, 'g722'),
  format('audio/wav', 'g726.wav', 1, 8_000, 'g726', '-b:a', '32k'),
  format('audio/wav', 'yamaha.wav', 2, 44_100, 'adpcm_yamaha'),
  format('audio/wav', 'flac.wav', 2, 44_100, 'flac'),
  format('audio/wav', 'ac3.wav', 2, 48_000, 'ac3'),
  format('audio/wav', 'eight.wav', 8, 48_000, 'pcm_s16le'),
  format('audio/basic', 'g722.au', 1, 16_000, 'adpcm_g722'),
  format('audio/basic', 'alaw.au', 1, 8_000, 'pcm_alaw'),
  format('audio/basic', 's24.au', 2, 44_100, 'pcm_s24be'),
  format('audio/x-caf', 'opus.caf', 2, 48_000, 'libopus'),
  format('audio/x-caf', 'mulaw.caf', 1, 8_000, 'pcm_mulaw'),
  format('audio/aiff', 'tagged.aiff', 2, 44_100, 'pcm_s16be', '-write_id3v2', '1', '-metadata', 'title=A tone'),
  format('audio/flac', 'surround.flac', 6, 48_000, 'flac'),
  format('audio/aac', 'surround.aac', 6, 48_000, 'aac'),
];

test('the parsed properties of each format agree with ffprobe', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  for (const one of FORMATS) {
    await t.test(one.name, async () => {
      const file = await make(folder, one);
      assertAgree(await parse(await readFile(file)), probe(file), one.type, one.name);
    });
  }
});

test('WAV files with missing sizes, tags, odd chunks or a truncated end are parsed', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const plain = wav({ seconds: 2, rate: 8000 });
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(plain);
    change(bytes);
    return bytes;
  };
  const sizes = (riff: number, data: number): Buffer =>
    changed((bytes) => {
      bytes.writeUInt32LE(riff, 4);
      bytes.writeUInt32LE(data, 40);
    });
  const tag = Buffer.concat([Buffer.from('ID3\x03\0\0\0\0\x02\0', 'latin1'), Buffer.alloc(256)]);
  const rf64 = await readFile(
    await make(folder, format('audio/wav', 'rf64.wav', 2, 48_000, 'pcm_s16le', '-rf64', 'always')),
  );
  const variants: Record<string, Buffer> = {
    'zero.wav': sizes(0, 0),
    'unknown.wav': sizes(0xffffffff, 0xffffffff),
    // A recorder that crashed leaves such a header.
    'crashed.wav': sizes(36, 0),
    'id3.wav': Buffer.concat([tag, plain]),
    'odd.wav': Buffer.concat([plain.subarray(0, 36), Buffer.from('junk\x03\0\0\0abc\0', 'latin1'), plain.subarray(36)]),
    'cut.wav': plain.subarray(0, 16_044),
  };
  for (const [name, bytes] of Object.entries(variants)) {
    const file = join(folder, name);
    await writeFile(file, bytes);
    assertAgree(await parse(bytes), probe(file), 'audio/wav', name);
  }
  const piped = spawnSync('ffmpeg', ['-v', 'error', '-i', join(folder, 'zero.wav'), '-f', 'wav', 'pipe:1']).stdout;
  assert.equal((await parse(piped))?.durationSeconds, 2);
  // Compared with constants, because older versions of ffprobe do not support BW64.
  rf64.write('BW64', 'latin1');
  assert.deepEqual(await parse(rf64), {
    ...{ mediaType: 'audio/wav', durationSeconds: 2, sampleRate: 48_000, channels: 2, codec: 'pcm_s16le' },
  });
  // A declared size beyond 4 GiB, of which only the beginning exists.
  rf64.writeBigUInt64LE(2n ** 33n, rf64.indexOf('ds64') + 16);
  assert.equal((await parse(rf64))?.durationSeconds, 2);
});
