/** AMR, and files that are refused: video, unknown formats, and invalid structures. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { wav } from '../support/audio.ts';
import { temporaryFolder } from '../support/servers/processes.ts';
import { assertAgree, make, parse, probe, skip, sounds } from './formats-setup.ts';

after(() => sounds.close());

test('AMR is recognised, both as a file of its own and in 3GP', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  for (const [name, magic, head, bytes, type] of [
    ['nb.amr', '#!AMR\n', 0x3c, 32, 'audio/amr'],
    ['wb.amr', '#!AMR-WB\n', 0x44, 61, 'audio/amr-wb'],
  ] as const) {
    const frame = Buffer.alloc(bytes);
    frame[0] = head;
    const whole = Buffer.concat([Buffer.from(magic, 'latin1'), ...Array.from({ length: 100 }, () => frame)]);
    const file = join(folder, name);
    await writeFile(file, whole);
    const { durationSeconds, ...facts } = probe(file);
    assert.deepEqual(await parse(whole), { ...facts, durationSeconds: 2, mediaType: type }, `${durationSeconds}`);
    const inside = join(folder, `${name}.3gp`);
    const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-i', file, '-c', 'copy', inside], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assertAgree(await parse(await readFile(inside)), probe(inside), 'audio/3gpp', inside);
  }
});

test('video files and unknown formats are refused', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const video = ['-f', 'lavfi', '-i', 'color=red:size=16x16:duration=2', '-shortest'];
  for (const name of ['film.mp4', 'film.mov', 'film.3gp', 'film.mkv', 'film.webm', 'film.wmv']) {
    const file = await make(folder, {
      name,
      channels: 1,
      rate: 48_000,
      options: name === 'film.3gp' ? ['-c:a', 'aac'] : [],
      type: '',
    }).catch(() => null);
    assert.notEqual(file, null, name);
    const film = join(folder, `with-video-${name}`);
    const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-i', file ?? '', ...video, film], {
      encoding: 'utf8',
    });
    if (status !== 0) {
      // The video encoder is missing or needs a different size.
      t.diagnostic(`${name}: ${stderr.split('\n')[0]}`);
      continue;
    }
    assert.equal(await parse(await readFile(film)), null, name);
  }
  for (const name of ['a.tta', 'a.w64', 'a.voc', 'a.eac3', 'a.avi']) {
    const file = await make(folder, { name, channels: 2, rate: 44_100, options: [], type: '' });
    assert.equal(await parse(await readFile(file)), null, name);
  }
});

test('files with invalid or endless structures are refused or read up to their end', async () => {
  const huge = Buffer.alloc(64);
  huge.write('\0\0\0\x18ftypM4A \0\0\0\0M4A isom\0\0\0\x01moov', 'latin1');
  huge.writeBigUInt64BE(2n ** 63n, 32);
  const caf = Buffer.alloc(80);
  caf.write('caff\0\x01\0\0desc', 'latin1');
  caf.writeBigInt64BE(-(2n ** 62n), 12);
  const aiff = Buffer.from('FORM\xff\xff\xff\xffAIFFXXXX\xff\xff\xff\xff', 'latin1');
  const asf = Buffer.concat([Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'), Buffer.alloc(100)]);
  asf.writeBigUInt64LE(2n ** 64n - 1n, 16);
  const au = Buffer.from('.snd\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x03\0\0\xac\x44\0\0\0\x01', 'latin1');
  for (const bytes of [huge, caf, aiff, asf]) assert.equal(await parse(bytes), null);
  assert.equal((await parse(au))?.durationSeconds, 0);
  const endless = wav();
  endless.writeUInt32LE(0xfffffff0, 16);
  assert.equal(await parse(endless), null);
});
