/** Well-formed frames of requests that may be invalid: bodies, trailers, stream identifiers, pseudo-header fields. */
import type { Random } from '../support/random.ts';
import { frame } from '../support/wire/unread.ts';
import {
  END_HEADERS,
  END_STREAM,
  type Field,
  type FrameContext,
  type FrameSession,
  headersFrame,
  type Kind,
  PADDED,
  pickOf,
  repeated,
  request,
  STREAM,
  TYPE,
  uint32,
} from './frame-wire.ts';
import { bytesOf, junk } from './message.ts';

function upload(random: Random, context: FrameContext, more: readonly Field[]): Buffer {
  const path = `/api/files/content/${pickOf(random, context.names)}`;
  return headersFrame(STREAM, request(context, 'PUT', path, more), END_HEADERS);
}

const bodies: Kind = (random, context) => {
  const data = (length: number, flags = 0): Buffer => frame(TYPE.data, flags, STREAM, Buffer.alloc(length, 0x61));
  const length: Field = ['content-length', '10'];
  const trailers = (fields: readonly Field[], flags = 5): Buffer => headersFrame(STREAM, fields, flags);
  const begun = upload(random, context, random.once(2) ? [length] : []);
  const exact = upload(random, context, [length]);
  return pickOf<FrameSession>(random, [
    { fate: 'alive', frames: [exact, data(10, END_STREAM)] },
    { fate: 'alive', frames: [exact, data(4), data(0), data(6), data(0, END_STREAM)] },
    { fate: 'alive', frames: [exact, data(4, END_STREAM)] },
    { fate: 'either', frames: [exact, data(20, END_STREAM)] },
    { fate: 'either', frames: [exact, data(10, END_STREAM), data(5)] },
    { fate: 'alive', frames: [exact, data(10), trailers([['x-checksum', 'abc']])] },
    { fate: 'alive', frames: [exact, data(10), trailers([['repr-digest', junk(random).replaceAll(/[^ -~]/g, '')]])] },
    { fate: 'either', frames: [exact, data(10), trailers([[':path', '/x']])] },
    { fate: 'either', frames: [exact, data(10), trailers([['x', 'y']], END_HEADERS), data(5, END_STREAM)] },
    { fate: 'either', frames: [begun, ...repeated(2000, () => data(0)), data(10, END_STREAM)] },
    { fate: 'either', frames: [begun, data(5), frame(TYPE.reset, 0, STREAM, uint32(8))] },
    { fate: 'either', frames: [begun, data(5), begun] },
    { fate: 'ended', frames: [begun, frame(TYPE.data, PADDED, STREAM, Buffer.from([200, 1, 2]))] },
    {
      fate: 'either',
      frames: [begun, frame(TYPE.data, PADDED | 1, STREAM, Buffer.concat([Buffer.from([3]), Buffer.alloc(13)]))],
    },
    { fate: 'ended', frames: [frame(TYPE.headers, 5 | PADDED, STREAM, Buffer.from([250, 0x82]))] },
    { fate: 'either', frames: [begun, ...repeated(30, () => data(16_384))] },
  ]);
};

const streamIds: Kind = (random, context) => {
  const ask = (stream: number): Buffer => headersFrame(stream, request(context, 'GET', '/health'));
  return pickOf<FrameSession>(random, [
    { fate: 'ended', frames: [ask(2)] },
    { fate: 'either', frames: [ask(STREAM + 40), ask(STREAM)] },
    { fate: 'either', frames: [ask(STREAM), ask(STREAM)] },
    { fate: 'ended', frames: [frame(TYPE.push, 4, STREAM, Buffer.concat([uint32(2), Buffer.from([0x82])]))] },
    {
      fate: 'either',
      frames: [frame(TYPE.goaway, 0, 0, Buffer.concat([uint32(0), uint32(random.int(0, 20)), bytesOf(random, 50)]))],
    },
    {
      fate: 'either',
      frames: repeated(300, (n) =>
        headersFrame(STREAM + 2 * n, request(context, 'PUT', '/api/files/content/many.bin'), 4),
      ),
    },
  ]);
};

/** Malformed requests are errors of their stream (RFC 9113 §8.1.1). */
const pseudoFields: Kind = (random, context) => {
  const valid = request(context, 'GET', '/health');
  const without = (name: string): Field[] => valid.filter(([field]) => field !== name);
  const fields = pickOf<readonly Field[]>(random, [
    without(':method'),
    without(':scheme'),
    without(':path'),
    without(':authority'),
    [...valid, [':path', '/']],
    [...valid, [':status', '200']],
    [[':foo', 'x'], ...valid],
    [[':path', ''], ...without(':path')],
    [[':path', 'health'], ...without(':path')],
    [[':path', '*'], ...without(':path')],
    [[':path', `/${'a'.repeat(15_000)}`], ...without(':path')],
    [[':path', '/he\x00alth'], ...without(':path')],
    [[':path', '/\u00e9?\u00ff#x'], ...without(':path')],
    [[':path', 'https://other.example/health'], ...without(':path')],
    [[':method', 'CONNECT'], ...without(':method')],
    [[':method', 'CONNECT'], [':protocol', 'websocket'], ...without(':method')],
    [[':method', 'G T'], ...without(':method')],
    [[':method', ''], ...without(':method')],
    [[':method', 'TRACE'], ...without(':method')],
    [[':scheme', 'ftp'], ...without(':scheme')],
    [[':authority', 'user:pass@x'], ...without(':authority')],
    [[':authority', ''], ...without(':authority')],
    [...valid, ['host', 'other.example']],
  ]);
  return { fate: 'alive', frames: [headersFrame(STREAM, fields)] };
};

const oddFields: Kind = (random, context) => {
  const field = pickOf<Field>(random, [
    ['X-Upper', 'a'],
    ['', 'a'],
    ['connection', 'close'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'h2c'],
    ['te', 'gzip'],
    ['te', 'trailers'],
    ['expect', '100-continue'],
    ['expect', junk(random)],
    ['content-length', pickOf(random, ['-1', '1e3', '', '5, 5', '99999999999999999999', '5'])],
    ['x', 'a\x00b'],
    ['x', 'a\r\nb: c'],
    ['x', ' a '],
    ['x y', 'z'],
    ['cookie', 'a=b'],
    ['range', `bytes=${junk(random)}`],
    ['x-forwarded-for', junk(random)],
    ['content-type', junk(random)],
  ]);
  const times = random.once(6) ? 300 : random.int(1, 2);
  const fields = [...request(context, 'GET', '/health'), ...Array.from({ length: times }, () => field)];
  return { fate: times > 2 ? 'either' : 'alive', frames: [headersFrame(STREAM, fields)] };
};

const operations: Kind = (random, context) => {
  const frames = repeated(random.int(1, 20), (n) => {
    const [method, path] = pickOf(random, context.operations);
    const target = random.once(4) ? `${path}?${junk(random)}` : path;
    const sound = encodeURI(target.replaceAll(/[^\x21-\x7e]/g, '_')).replaceAll('#', '%23');
    const ask = request(context, method, sound, random.once(2) ? [['content-type', 'application/json']] : []);
    const stream = STREAM + 2 * n;
    const body = frame(TYPE.data, END_STREAM, stream, bytesOf(random, random.int(0, 60)));
    return Buffer.concat([headersFrame(stream, ask, END_HEADERS), body]);
  });
  return { fate: 'alive', frames };
};

export const REQUEST_KINDS: Readonly<Record<string, Kind>> = {
  bodies,
  streamIds,
  pseudoFields,
  oddFields,
  operations,
};
