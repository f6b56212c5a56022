/** Duration of fragmented MP4 files (ISO/IEC 14496-12 §8.8): the sum of the durations of all samples. */
import { type Box, boxes, find, timesOf } from './mp4.ts';
import type { Source } from './source.ts';

/** Duration in seconds; null if the file does not contain it. @throws LimitExceededError, MalformedFileError */
export async function fragmentSeconds(source: Source): Promise<number | null> {
  const file = { type: '', start: 0, end: source.size };
  const header = await find(source, file, 'moov', 'trak', 'mdia', 'mdhd');
  const defaults = await find(source, file, 'moov', 'mvex', 'trex');
  if (header === null) return null;
  const { scale } = await timesOf(source, header);
  const defaultDuration = defaults === null ? 0 : (await source.readExactly(defaults.start, 16)).readUInt32BE(12);
  let sum = 0;
  for await (const fragment of boxes(source, file)) {
    if (fragment.type !== 'moof') continue;
    for await (const track of boxes(source, fragment)) {
      if (track.type === 'traf') sum += await trackLength(source, track, defaultDuration);
    }
  }
  return sum > 0 && scale > 0 ? sum / scale : null;
}

async function trackLength(source: Source, track: Box, defaultDuration: number): Promise<number> {
  let sampleDuration = defaultDuration;
  let sum = 0;
  for await (const box of boxes(source, track)) {
    if (box.type !== 'tfhd' && box.type !== 'trun') continue;
    const head = await source.readExactly(box.start, 8);
    const flags = head.readUInt32BE(0) & 0xffffff;
    if (box.type === 'tfhd') {
      const before = 8 + ((flags & 1) !== 0 ? 8 : 0) + ((flags & 2) !== 0 ? 4 : 0);
      if ((flags & 8) !== 0) sampleDuration = (await source.readExactly(box.start + before, 4)).readUInt32BE(0);
    } else sum += await runLength(source, box, { flags, count: head.readUInt32BE(4), sampleDuration });
  }
  return sum;
}

async function runLength(
  source: Source,
  run: Box,
  { flags, count, sampleDuration }: Record<'flags' | 'count' | 'sampleDuration', number>,
) {
  if ((flags & 0x100) === 0) return count * sampleDuration;
  const start = run.start + 8 + ((flags & 1) !== 0 ? 4 : 0) + ((flags & 4) !== 0 ? 4 : 0);
  const step = [0x100, 0x200, 0x400, 0x800].filter((flag) => (flags & flag) !== 0).length * 4;
  const samples = await source.read(start, Math.min(count * step, run.end - start));
  let sum = 0;
  for (let at = 0; at + step <= samples.length; at += step) sum += samples.readUInt32BE(at);
  return sum;
}
