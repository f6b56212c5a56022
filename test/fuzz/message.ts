/** The parts of HTTP/1.1 requests as bytes. */
import type { Random } from '../support/random.ts';

export interface Message {
  kind: string;
  method: string;
  target: string;
  bytes: Buffer;
  /** The framing is valid, so the connection may be used again. */
  sound: boolean;
}

export type Described = readonly [method: string, path: string, parameters: readonly string[], keys: readonly string[]];

/** The values that requests may contain. All connections share them, so that they use the same few files. */
export interface FuzzContext {
  host: string;
  /** Tokens of a client and of an administrator. */
  tokens: readonly [string, string];
  names: readonly [string, ...string[]];
  /** Addresses of uploads from the server, the newest last. */
  tus: string[];
  resumable: string[];
  /** Entity tags of earlier replies. */
  tags: string[];
  /** Operations of the OpenAPI document. */
  operations: readonly [Described, ...Described[]];
}

/** Creates a message of one kind. */
export type Shape = (random: Random, context: FuzzContext) => Message;

export type Field = readonly [name: string, value: string];

/** Edge cases for parsers of numbers. */
const NUMBERS = [
  '0',
  '1',
  '5',
  '-1',
  '+5',
  '00',
  '0x10',
  '1e3',
  '1.5',
  '',
  ' 5',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551615',
  '18446744073709551616',
  '9'.repeat(300),
  '٣',
  'NaN',
  '1,2',
  '4294967296',
] as const;

/** Usually a small integer, sometimes an edge case. */
export function number(random: Random, max = 64): string {
  return random.once(4) ? random.pick(NUMBERS) : String(random.int(0, max));
}

/** Text with edge cases for parsers, without line breaks: those belong to the kinds that break the framing. */
export function junk(random: Random, max = 24): string {
  const pieces = [
    'a',
    'Z',
    '0',
    '"',
    '\\',
    ';',
    ',',
    '=',
    ' ',
    '\t',
    '%',
    '%00',
    '/',
    '..',
    '(',
    '?',
    ':',
    '*',
    '\u00e9',
    '\u00ff',
    '-',
    '#',
  ];
  let text = '';
  for (let length = random.int(0, max); length > 0; length -= 1) text += random.pick(pieces as [string, ...string[]]);
  return random.once(200) ? text.repeat(400) : text;
}

export function bytesOf(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) bytes[i] = random.int(0, 255);
  return bytes;
}

export function auth(random: Random, context: FuzzContext): Field {
  if (random.once(60)) return ['Authorization', `Bearer ${junk(random)}`];
  return ['Authorization', `Bearer ${random.once(6) ? context.tokens[1] : context.tokens[0]}`];
}

/** Joins request line, fields and body without any check. */
export function raw(
  method: string,
  target: string,
  fields: readonly Field[],
  body: Uint8Array = Buffer.alloc(0),
): Buffer {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, 'latin1'), body]);
}

/** Encodes the body in the chunked coding, split at random bytes. */
export function chunked(random: Random, body: Buffer, trailers = ''): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const length = Math.min(body.length - at, random.int(1, 40));
    const extension = random.once(10) ? `;${random.pick(['a', 'a=b', 'a="b"'])}` : '';
    pieces.push(
      Buffer.from(`${length.toString(16)}${extension}\r\n`),
      body.subarray(at, at + length),
      Buffer.from('\r\n'),
    );
    at += length;
  }
  return Buffer.concat([...pieces, Buffer.from(`0\r\n${trailers}\r\n`)]);
}

/** A request with valid framing, whose body is sent with a length or chunked. */
export function message(
  random: Random,
  context: FuzzContext,
  [kind, method, target]: readonly [kind: string, method: string, target: string],
  fields: readonly Field[],
  body: Buffer | null = null,
): Message {
  const all: Field[] = [['Host', context.host], ...fields];
  if (random.once(30)) all.push(['Expect', '100-continue']);
  let content = body ?? Buffer.alloc(0);
  if (body && random.once(4)) {
    all.push(['Transfer-Encoding', 'chunked']);
    content = chunked(random, body);
  } else if (body) {
    all.push(['Content-Length', String(body.length)]);
  }
  // Characters beyond Latin-1 and line breaks would change the framing.
  const clean = all.map(([name, value]): Field => [name, value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?')]);
  return {
    kind,
    method,
    target,
    bytes: raw(method, target.replaceAll(/[^\x21-\x7e]/g, '_'), clean, content),
    sound: true,
  };
}
