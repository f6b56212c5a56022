/** Windows Media (ASF): reads the duration and the audio stream from the objects of the header. */
import { MalformedFileError, type ParsedSound, type Source, toNumber } from './source.ts';
import { codecOfTag } from './wave.ts';

export const ASF_HEADER = '3026b2758e66cf11a6d900aa0062ce6c';
const FILE_PROPERTIES = 'a1dcab8c47a9cf118ee400c00c205365';
const STREAM_PROPERTIES = '9107dcb7b7a9cf118ee600c00c205365';
const AUDIO = '409e69f84d5bcf11a8fd00805f5c442b';
const VIDEO = 'c0ef19bc4d5bcf11a8fd00805f5c442b';

/** @returns null if the file has a video stream @throws MalformedFileError, LimitExceededError */
export async function asfSound(source: Source): Promise<ParsedSound | null> {
  const end = Math.min(source.size, toNumber((await source.readExactly(16, 8)).readBigUInt64LE(0)));
  let durationSeconds: number | null = null;
  let stream: Pick<ParsedSound, 'sampleRate' | 'channels' | 'codec'> | null = null;
  let position = 30;
  while (position + 24 <= end) {
    const head = await source.readExactly(position, 24);
    const size = toNumber(head.readBigUInt64LE(16));
    if (size < 24) throw new MalformedFileError();
    const id = head.toString('hex', 0, 16);
    if (id === FILE_PROPERTIES) {
      const properties = await source.readExactly(position, 88);
      // The duration, in units of 100 ns, includes the preroll, in milliseconds.
      durationSeconds = toNumber(properties.readBigUInt64LE(64)) / 1e7 - toNumber(properties.readBigUInt64LE(80)) / 1e3;
    }
    if (id === STREAM_PROPERTIES) {
      const properties = await source.readExactly(position, 78 + 16);
      const kind = properties.toString('hex', 24, 40);
      if (kind === VIDEO) return null;
      if (kind === AUDIO) {
        stream ??= {
          codec: codecOfTag(properties.readUInt16LE(78), properties.readUInt16LE(92)),
          channels: properties.readUInt16LE(80),
          sampleRate: properties.readUInt32LE(82),
        };
      }
    }
    position += size;
  }
  if (stream === null) throw new MalformedFileError();
  return { mediaType: 'audio/x-ms-wma', durationSeconds, ...stream };
}
