/** The parts of HTTP/2 sessions: frames, header blocks and requests. */
import type { Random } from '../support/random.ts';
import { frame } from '../support/wire/unread.ts';

/** `alive`: the next request is answered. `ended`: the session ends (RFC 9113 §5.4.1). `either`: one of these, at once. */
export type Fate = 'alive' | 'ended' | 'either';

export interface Session {
  kind: string;
  fate: Fate;
  frames: Buffer[];
  /** Replaces the connection preface of HTTP/2. */
  preface?: Buffer;
}

/** The values that requests may contain. */
export interface FrameContext {
  authority: string;
  token: string;
  names: readonly string[];
  /** Method and path. */
  operations: readonly (readonly [string, string])[];
}

export type FrameSession = Omit<Session, 'kind'>;
export type Kind = (random: Random, context: FrameContext) => FrameSession;

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  more: 9,
};
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY = 32;
export const EMPTY = Buffer.alloc(0);
/** The stream that the kinds use. Valid requests come before and after it. */
export const STREAM = 11;

export type Field = readonly [name: string, value: string];

/** RFC 7541 §5.1. */
function integer(value: number, bits: number, first: number): Buffer {
  const max = 2 ** bits - 1;
  if (value < max) return Buffer.from([first | value]);
  const bytes = [first | max];
  let rest = value - max;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
}

/** Literals that are never indexed (RFC 7541 §6.2.2). */
export function block(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])));
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const bytes = pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)]));
  return frame(TYPE.settings, 0, 0, Buffer.concat(bytes));
}

export function request(
  { authority, token }: FrameContext,
  method: string,
  path: string,
  more: readonly Field[] = [],
): Field[] {
  const pseudo: Field[] = [
    [':method', method],
    [':scheme', 'https'],
    [':authority', authority],
    [':path', path],
  ];
  return [...pseudo, ['authorization', `Bearer ${token}`], ...more];
}

export function headersFrame(stream: number, fields: readonly Field[], flags = END_STREAM | END_HEADERS): Buffer {
  return frame(TYPE.headers, flags, stream, block(fields));
}

export function repeated(times: number, make: (n: number) => Buffer): Buffer[] {
  return Array.from({ length: times }, (_, n) => make(n));
}

export function pickOf<T>(random: Random, items: readonly T[]): T {
  const item = items[random.int(0, items.length - 1)];
  if (item === undefined) throw new Error('the list is empty');
  return item;
}
