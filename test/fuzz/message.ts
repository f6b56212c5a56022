/** Requests as bytes: what every kind of them is made of. */
import type { Random } from '../support/random.ts';

export interface Message {
  kind: string;
  method: string;
  target: string;
  bytes: Buffer;
  /** The framing is as HTTP has it, so the connection may go on afterwards. */
  sound: boolean;
}

export type Described = readonly [method: string, path: string, parameters: readonly string[], keys: readonly string[]];

/** What requests may speak of. Shared by all connections: they meet in the same few files. */
export interface FuzzContext {
  host: string;
  /** Tokens of a client and of an administrator. */
  tokens: readonly [string, string];
  names: readonly [string, ...string[]];
  /** Addresses of uploads that the server gave, the youngest last. */
  tus: string[];
  resumable: string[];
  /** Entity tags that were seen. */
  tags: string[];
  /** Operations of the OpenAPI document. */
  operations: readonly [Described, ...Described[]];
}

/** Makes the message of one kind. */
export type Shape = (random: Random, world: FuzzContext) => Message;

export type Field = readonly [name: string, value: string];

/** Values that parsers of numbers trip over. */
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

/** A small whole number, or sometimes anything else. */
export function number(random: Random, most = 64): string {
  return random.once(4) ? random.pick(NUMBERS) : String(random.int(0, most));
}

/** Text with what parsers trip over. No line ends: those are the business of the framing kinds. */
export function junk(random: Random, most = 24): string {
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
  for (let length = random.int(0, most); length > 0; length -= 1) text += random.pick(pieces as [string, ...string[]]);
  return random.once(200) ? text.repeat(400) : text;
}

export function bytesOf(random: Random, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 1) bytes[i] = random.int(0, 255);
  return bytes;
}

export function auth(random: Random, world: FuzzContext): Field {
  if (random.once(60)) return ['Authorization', `Bearer ${junk(random)}`];
  return ['Authorization', `Bearer ${random.once(6) ? world.tokens[1] : world.tokens[0]}`];
}

/** Request line, fields and body as they are, without a look at whether they fit. */
export function raw(
  method: string,
  target: string,
  fields: readonly Field[],
  body: Uint8Array = Buffer.alloc(0),
): Buffer {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, 'latin1'), body]);
}

/** The body in the chunked coding, cut anywhere. */
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

/** A request whose framing is sound; the body goes with a length or chunked. */
export function message(
  random: Random,
  world: FuzzContext,
  [kind, method, target]: readonly [kind: string, method: string, target: string],
  fields: readonly Field[],
  body: Buffer | null = null,
): Message {
  const all: Field[] = [['Host', world.host], ...fields];
  if (random.once(30)) all.push(['Expect', '100-continue']);
  let content = body ?? Buffer.alloc(0);
  if (body && random.once(4)) {
    all.push(['Transfer-Encoding', 'chunked']);
    content = chunked(random, body);
  } else if (body) {
    all.push(['Content-Length', String(body.length)]);
  }
  // Characters beyond Latin-1 and line ends would change the framing.
  const clean = all.map(([name, value]): Field => [name, value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?')]);
  return {
    kind,
    method,
    target,
    bytes: raw(method, target.replaceAll(/[^\x21-\x7e]/g, '_'), clean, content),
    sound: true,
  };
}
