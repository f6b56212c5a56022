/** Files that begin as audio and take their parsers as long as possible for their size. */

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function filled(size: number, piece: Uint8Array): Buffer {
  return Buffer.alloc(size, piece);
}

/** 28 bits in four bytes (ID3v2 §6.2). */
function synchsafe(value: number): Buffer {
  return Buffer.from([(value >> 21) & 127, (value >> 14) & 127, (value >> 7) & 127, value & 127]);
}

function nestedAtoms(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  Buffer.from('\0\0\0\x18ftypM4A \0\0\0\0M4A isom', 'latin1').copy(bytes);
  for (let at = 24; at + 8 <= size; at += 8) {
    bytes.writeUInt32BE(size - at, at);
    bytes.write(at === 24 ? 'moov' : 'udta', at + 4, 'latin1');
  }
  return bytes;
}

function manyAtoms(size: number): Buffer {
  const head = Buffer.from('\0\0\0\x18ftypM4A \0\0\0\0M4A isom', 'latin1');
  const moov = Buffer.concat([uint32(size - 24), Buffer.from('moov')]);
  return Buffer.concat([head, moov, filled(size - 32, Buffer.from('\0\0\0\x08trak', 'latin1'))]);
}

/** An ID3v2.3 tag filled with `frame`, and two frames of MPEG 1 layer III at 128 kbit/s. */
function tagged(size: number, frame: Uint8Array): Buffer {
  const sound = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0]), Buffer.alloc(413)]);
  const length = size - 10 - 2 * sound.length;
  const head = Buffer.concat([Buffer.from('ID3\x03\0\0', 'latin1'), synchsafe(length)]);
  return Buffer.concat([head, filled(length, frame), sound, sound]);
}

function manyFrames(size: number): Buffer {
  return tagged(size, Buffer.from('TIT2\0\0\0\x02\0\0\0A', 'latin1'));
}

function manyComments(size: number): Buffer {
  return tagged(size, Buffer.from('COMM\0\0\0\x06\0\0\0eng\0A', 'latin1'));
}

function manyPages(size: number): Buffer {
  const page = Buffer.concat([Buffer.from('OggS\0\0', 'latin1'), Buffer.alloc(20), Buffer.from([1, 1, 0])]);
  const first = Buffer.concat([
    Buffer.from('OggS\0\x02', 'latin1'),
    Buffer.alloc(20),
    Buffer.from([1, 30]),
    Buffer.from('\x01vorbis\0\0\0\0\x02\x80\xbb\0\0\0\0\0\0\0\xee\x02\0\0\0\0\0\xb8\x01', 'latin1'),
  ]);
  return Buffer.concat([first, filled(size - first.length, page)]);
}

function manyElements(size: number): Buffer {
  const head = Buffer.from('1a45dfa3924282847765626d4287810442858102', 'hex');
  const segment = Buffer.concat([Buffer.from('1853806708', 'hex'), Buffer.alloc(3), uint32(size)]);
  return Buffer.concat([head, segment, filled(size - head.length - segment.length, Buffer.from('ae80', 'hex'))]);
}

function manyBlocks(size: number): Buffer {
  const info = Buffer.alloc(34);
  info.writeUInt16BE(4096, 0);
  info.writeUInt16BE(4096, 2);
  info.writeUInt32BE(0x0ac442f0, 10);
  const head = Buffer.concat([Buffer.from('fLaC\0\0\0\x22', 'latin1'), info]);
  return Buffer.concat([head, filled(size - head.length, Buffer.from([1, 0, 0, 0]))]);
}

function manyChunks(size: number): Buffer {
  const head = Buffer.from('RIFF\xff\xff\xff\x7fWAVE', 'latin1');
  return Buffer.concat([head, filled(size - 12, Buffer.from('LIST\x04\0\0\0INFO', 'latin1'))]);
}

function manyAiffChunks(size: number): Buffer {
  const head = Buffer.from('FORM\x7f\xff\xff\xffAIFF', 'latin1');
  return Buffer.concat([head, filled(size - 12, Buffer.from('NAME\0\0\0\0', 'latin1'))]);
}

function manySyncs(size: number): Buffer {
  return filled(size, Buffer.from([0xff, 0xfb, 0x90, 0x00, 0xff, 0xe2, 0x10]));
}

/** The crafted files by name, each of `size` bytes. */
export function craftedSounds(size: number): Map<string, Buffer> {
  return new Map([
    ['nested.m4a', nestedAtoms(size)],
    ['atoms.m4a', manyAtoms(size)],
    ['frames.mp3', manyFrames(size)],
    ['comments.mp3', manyComments(size)],
    ['pages.ogg', manyPages(size)],
    ['elements.webm', manyElements(size)],
    ['blocks.flac', manyBlocks(size)],
    ['chunks.wav', manyChunks(size)],
    ['chunks.aiff', manyAiffChunks(size)],
    ['syncs.mp3', manySyncs(size)],
  ]);
}
