/** Malformed frames: lengths, streams, settings, windows, compressed fields, floods. */
import { frame } from '../support/wire/unread.ts';
import {
  block,
  EMPTY,
  END_HEADERS,
  END_STREAM,
  type FrameSession,
  headersFrame,
  type Kind,
  PRIORITY,
  pickOf,
  repeated,
  request,
  STREAM,
  settings,
  TYPE,
  text,
  uint32,
} from './frame-wire.ts';
import { bytesOf } from './message.ts';

const badLengths: Kind = (random) => {
  const [type, right] = pickOf<readonly [number, number]>(random, [
    [TYPE.priority, 5],
    [TYPE.reset, 4],
    [TYPE.settings, 6],
    [TYPE.ping, 8],
    [TYPE.window, 4],
    [TYPE.goaway, 8],
  ]);
  const length = pickOf(random, [0, 1, right - 1, right + 1, 100, 16_384]);
  const fits = type === TYPE.settings ? length % 6 === 0 : type === TYPE.goaway ? length >= 8 : length === right;
  const stream = [TYPE.priority, TYPE.reset].includes(type) ? STREAM : 0;
  return {
    fate: fits || type === TYPE.priority ? 'either' : 'ended',
    frames: [frame(type, 0, stream, Buffer.alloc(length))],
  };
};

const tooLong: Kind = (random) => {
  const length = pickOf(random, [16_385, 20_000, 65_536]);
  const type = pickOf(random, [TYPE.data, TYPE.headers, TYPE.settings, TYPE.more, 0xee]);
  return { fate: 'ended', frames: [frame(type, 0, type === TYPE.settings ? 0 : STREAM, Buffer.alloc(length))] };
};

const unknownTypes: Kind = (random) => {
  const frames = repeated(random.int(1, 200), () => {
    const stream = pickOf(random, [0, 1, STREAM, 2 ** 31 - 1]);
    return frame(random.int(0x20, 0xff), random.int(0, 255), stream, bytesOf(random, random.int(0, 60)));
  });
  return { fate: 'alive', frames };
};

const wrongStream: Kind = (random) => {
  const zero = random.once(2);
  const type = zero
    ? pickOf(random, [TYPE.data, TYPE.headers, TYPE.priority, TYPE.reset, TYPE.more])
    : pickOf(random, [TYPE.settings, TYPE.ping, TYPE.goaway]);
  const length = { [TYPE.priority]: 5, [TYPE.reset]: 4, [TYPE.ping]: 8, [TYPE.goaway]: 8 }[type] ?? 6;
  return { fate: 'ended', frames: [frame(type, END_HEADERS, zero ? 0 : STREAM, Buffer.alloc(length))] };
};

const idleStreams: Kind = (random) => {
  const type = pickOf(random, [TYPE.data, TYPE.reset, TYPE.window]);
  return { fate: 'ended', frames: [frame(type, 0, pickOf(random, [STREAM, 2 ** 31 - 1, 2]), uint32(1))] };
};

const badSettings: Kind = (random) => {
  const [id, value] = pickOf<readonly [number, number]>(random, [
    [2, 2],
    [2, 2 ** 32 - 1],
    [4, 2 ** 31],
    [4, 2 ** 32 - 1],
    [5, 0],
    [5, 16_383],
    [5, 2 ** 24],
  ]);
  if (random.once(4)) return { fate: 'ended', frames: [frame(TYPE.settings, 1, 0, Buffer.alloc(6))] };
  return { fate: 'ended', frames: [settings([id, value])] };
};

const oddSettings: Kind = (random, context) => ({
  fate: 'either',
  frames: [
    ...repeated(random.int(1, 20), () => settings([random.int(0, 20), random.int(0, 2 ** 31 - 1)])),
    headersFrame(STREAM, request(context, 'GET', '/openapi.json')),
    settings([4, pickOf(random, [0, 1, 65_535, 2 ** 31 - 1])]),
  ],
});

const settingsFlood: Kind = (random) => ({
  fate: 'either',
  frames: repeated(pickOf(random, [50, 1500, 12_000]), (n) => settings([4, 65_535 + (n % 100)])),
});

const pingFlood: Kind = (random) => ({
  fate: 'either',
  frames: repeated(pickOf(random, [50, 1500, 12_000]), (n) => frame(TYPE.ping, 0, 0, Buffer.alloc(8, n))),
});

const unaskedAcks: Kind = (random) => ({
  fate: 'either',
  frames: repeated(random.int(1, 50), () =>
    random.once(2) ? frame(TYPE.ping, 1, 0, Buffer.alloc(8)) : frame(TYPE.settings, 1, 0, EMPTY),
  ),
});

const continuations: Kind = (random, context) => {
  const fields = block(request(context, 'GET', '/health'));
  const at = random.int(0, fields.length);
  const begin = frame(TYPE.headers, END_STREAM, STREAM, fields.subarray(0, at));
  const rest = fields.subarray(at);
  return pickOf<FrameSession>(random, [
    { fate: 'alive', frames: [begin, frame(TYPE.more, END_HEADERS, STREAM, rest)] },
    // A frame of a different type or stream in between.
    { fate: 'ended', frames: [begin, frame(TYPE.ping, 0, 0, Buffer.alloc(8))] },
    { fate: 'ended', frames: [begin, frame(TYPE.more, END_HEADERS, STREAM + 2, rest)] },
    // CONTINUATION without HEADERS.
    { fate: 'ended', frames: [frame(TYPE.more, END_HEADERS, STREAM, rest)] },
    {
      fate: 'ended',
      frames: [headersFrame(STREAM, request(context, 'GET', '/health')), frame(TYPE.more, 4, STREAM, EMPTY)],
    },
    // Without an end.
    { fate: 'ended', frames: [begin, ...repeated(5000, () => frame(TYPE.more, 0, STREAM, EMPTY))] },
    {
      fate: 'ended',
      frames: [begin, ...repeated(200, (n) => frame(TYPE.more, 0, STREAM, block([[`x-${n}`, 'y'.repeat(8000)]])))],
    },
  ]);
};

const priorities: Kind = (random, context) => {
  const weight = Buffer.from([random.int(0, 255)]);
  const self = random.once(3);
  const on = (stream: number): Buffer => Buffer.concat([uint32(self ? stream : random.int(0, 2 ** 32 - 1)), weight]);
  return {
    fate: 'either',
    frames: [
      ...repeated(random.int(1, 500), (n) => frame(TYPE.priority, 0, n * 2 + 1, on(n * 2 + 1))),
      frame(TYPE.headers, 5 | PRIORITY, STREAM, Buffer.concat([on(STREAM), block(request(context, 'GET', '/health'))])),
    ],
  };
};

const resets: Kind = (random, context) => {
  const path = pickOf(random, ['/health', '/openapi.json', '/api/files', '/api/events']);
  const code = pickOf(random, [0, 2, 8, 0xdead]);
  const frames = repeated(pickOf(random, [10, 200, 1500]), (n) =>
    Buffer.concat([
      headersFrame(STREAM + 2 * n, request(context, 'GET', path)),
      frame(TYPE.reset, 0, STREAM + 2 * n, uint32(code)),
    ]),
  );
  return { fate: 'either', frames };
};

const windows: Kind = (random, context) => {
  const wide = uint32(2 ** 31 - 1);
  const open = headersFrame(STREAM, request(context, 'GET', '/api/events', [['accept', 'text/event-stream']]));
  const update = (stream: number, by: Buffer): Buffer => frame(TYPE.window, 0, stream, by);
  return pickOf<FrameSession>(random, [
    { fate: 'ended', frames: [update(0, uint32(0))] },
    { fate: 'ended', frames: [update(0, wide), update(0, wide)] },
    { fate: 'either', frames: [open, update(STREAM, uint32(0))] },
    { fate: 'either', frames: [open, update(STREAM, wide), update(STREAM, wide)] },
    // The reserved bit is ignored.
    { fate: 'either', frames: [open, update(STREAM, uint32(2 ** 31 + 5))] },
    { fate: 'ended', frames: [open, settings([4, 2 ** 31 - 1]), update(STREAM, wide), update(0, uint32(0))] },
  ]);
};

const brokenHpack: Kind = (random, context) => {
  const valid = block(request(context, 'GET', '/health'));
  if (random.once(4)) {
    const payload = [valid, bytesOf(random, random.int(1, 40))];
    return { fate: 'either', frames: [frame(TYPE.headers, 5, STREAM, Buffer.concat(random.shuffled(payload)))] };
  }
  const invalid = pickOf<readonly number[]>(random, [
    // Invalid indices, and lengths beyond the block or beyond numbers.
    [0x80],
    [0xff, 0xff, 0x7f],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    [0x00, 0x05, 0x61],
    [0x00, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0x61],
    [0x40],
    // A table size above the limit.
    [0x3f, 0xe1, 0xff, 0x03],
    // Invalid Huffman codes.
    [0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, 0x61],
    [0x00, 0x81, 0x00, 0x01, 0x61],
  ]);
  return { fate: 'ended', frames: [frame(TYPE.headers, 5, STREAM, Buffer.concat([valid, Buffer.from(invalid)]))] };
};

/** One long field in the table, and thousands of one-byte references to it. */
const bomb: Kind = (random, context) => {
  const entry = Buffer.concat([Buffer.from([0x40]), text('x'), text('y'.repeat(pickOf(random, [100, 3900])))]);
  const references = Buffer.alloc(pickOf(random, [50, 4000, 8000]), 0xbe);
  const payload = Buffer.concat([block(request(context, 'GET', '/health')), entry, references]);
  return {
    fate: 'either',
    frames: repeated(random.int(1, 20), (n) => frame(TYPE.headers, 5, STREAM + 2 * n, payload)),
  };
};

const damaged: Kind = (random, context) => {
  const [method, path] = pickOf(random, context.operations);
  const sent = Buffer.concat([
    headersFrame(STREAM, request(context, method, path), END_HEADERS),
    frame(TYPE.data, END_STREAM, STREAM, bytesOf(random, random.int(0, 100))),
  ]);
  for (let n = random.int(1, 6); n > 0; n -= 1) sent[random.int(0, sent.length - 1)] = random.int(0, 255);
  // A damaged length may swallow as much as a frame holds; the padding after it is DATA without a stream.
  const fate = 'either';
  return { fate, frames: [sent, Buffer.alloc(16_384 + 9)] };
};

const junkBytes: Kind = (random) => ({ fate: 'either', frames: [bytesOf(random, random.int(9, 3000))] });

const badPreface: Kind = (random) => ({
  fate: 'either',
  preface: pickOf(random, [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n'),
    bytesOf(random, 100),
  ]),
  frames: [],
});

export const SESSION_KINDS: Readonly<Record<string, Kind>> = {
  badLengths,
  tooLong,
  unknownTypes,
  wrongStream,
  idleStreams,
  badSettings,
  oddSettings,
  settingsFlood,
  pingFlood,
  unaskedAcks,
  continuations,
  priorities,
  resets,
  windows,
  brokenHpack,
  bomb,
  damaged,
  junkBytes,
  badPreface,
};
