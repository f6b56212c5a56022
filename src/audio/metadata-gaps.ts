/** Reads values that the metadata library does not report. */
import type { Source } from './source.ts';

const HEAD_BYTES = 16 * 1024;

/** Bits per sample of a Matroska file (RFC 9559, BitDepth), from its first elements; undefined if absent. */
export async function matroskaBits(source: Source): Promise<number | undefined> {
  const head = await source.read(0, HEAD_BYTES);
  const at = head.indexOf(Buffer.from([0x62, 0x64, 0x81]));
  return at === -1 ? undefined : head[at + 3];
}

const WAVPACK_HEADER_BYTES = 32;
const CHANNEL_INFO = 0x0d;

/**
 * Number of channels of a WavPack file. A block has one or two channels; the first of several related blocks contains the total number.
 * Undefined if it is absent.
 */
export async function wavpackChannels(source: Source): Promise<number | undefined> {
  const head = await source.read(0, HEAD_BYTES);
  if (head.length < WAVPACK_HEADER_BYTES) return undefined;
  const end = Math.min(head.length, head.readUInt32LE(4) + 8);
  for (let at = WAVPACK_HEADER_BYTES; at + 4 <= end; ) {
    const id = head.readUInt8(at);
    const long = (id & 0x80) !== 0;
    const words = long ? head.readUIntLE(at + 1, 3) : head.readUInt8(at + 1);
    const content = at + (long ? 4 : 2);
    if ((id & 0x3f) === CHANNEL_INFO && words > 0) return head[content];
    at = content + 2 * words;
  }
  return undefined;
}
