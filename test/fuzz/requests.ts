/** Kinds of requests that read and administer, and kinds with invalid framing. */
import type { Random } from '../support/random.ts';
import {
  auth,
  bytesOf,
  chunked,
  type Field,
  type FuzzContext,
  junk,
  type Message,
  message,
  number,
  raw,
  type Shape,
} from './message.ts';
import { form, rawChunk, resumable, tus } from './uploads.ts';

function range(random: Random): string {
  const one = (): string => `${random.once(6) ? '' : number(random)}-${random.once(3) ? '' : number(random)}`;
  const many = random.once(12) ? 300 : random.int(1, 5);
  const set = Array.from({ length: random.once(3) ? many : 1 }, one).join(random.pick([',', ', ', ' ,', ',,']));
  return `${random.once(15) ? junk(random, 4) : 'bytes'}=${set}`;
}

const DATES = [
  'Wed, 21 Oct 2026 07:28:00 GMT',
  'Thu, 01 Jan 1970 00:00:00 GMT',
  'Sunday, 06-Nov-94 08:49:37 GMT',
  'x',
] as const;

export function ranges(random: Random, context: FuzzContext): Message {
  const name = encodeURIComponent(random.pick(context.names));
  const target = random.pick([
    `/api/files/download/${name}`,
    `/api/files/status/${name}`,
    `/api/files/download/${name}?follow=true`,
  ]);
  const fields: Field[] = [auth(random, context)];
  const tag = random.once(2) ? (context.tags.at(-1) ?? '"a"') : random.pick(['*', 'W/"a"', '"a", "b"', junk(random)]);
  if (!random.once(4)) fields.push(['Range', range(random)]);
  for (const name of ['If-Range', 'If-Match', 'If-None-Match']) if (random.once(8)) fields.push([name, tag]);
  for (const name of ['If-Modified-Since', 'If-Unmodified-Since', 'If-Range']) {
    if (random.once(12)) fields.push([name, random.once(4) ? junk(random) : random.pick(DATES)]);
  }
  if (random.once(8))
    fields.push([
      random.pick(['Want-Repr-Digest', 'Want-Content-Digest']),
      random.pick(['sha-256=10', 'sha-512=3, a=1', junk(random)]),
    ]);
  if (random.once(10)) fields.push(['Accept', random.pick(['text/event-stream', '*/*', junk(random)])]);
  if (random.once(10)) fields.push(['Accept-Encoding', random.pick(['gzip', 'identity;q=0', junk(random)])]);
  return message(random, context, ['range', random.pick(['GET', 'GET', 'HEAD']), target], fields);
}

function value(random: Random, depth = 0): unknown {
  const simple = [
    null,
    true,
    0,
    -1,
    1e18,
    1.5,
    '',
    'a',
    junk(random),
    'x'.repeat(2000),
    'files:read',
    '\u0000',
    '\ud83d\ude00',
  ];
  if (depth < 3 && random.once(6)) return Array.from({ length: random.int(0, 3) }, () => value(random, depth + 1));
  if (depth < 3 && random.once(8))
    return { [junk(random, 3)]: value(random, depth + 1), rule: value(random, depth + 1) };
  return simple[random.int(0, simple.length - 1)];
}

/** Operations that get no random input, and the reasons. */
export const EXCLUDED: readonly [pattern: RegExp, reason: string][] = [
  [/^(?:DELETE|PUT) \/api\/clients/, 'it may delete or change the client of the run'],
  [/^DELETE \/v1\/auth\/sessions|^GET \/logout/, 'it ends the session of the run'],
  [/\/auth\/|\/login$|\/signup$|^POST \/api\/oauth|^PUT \/v1\/user/, 'each request may hash a password'],
  [/^POST \/(?:api\/clients|api\/tenants|v1\/user$)/, 'it creates entries that are never deleted'],
  [/^POST \/calls/, 'it rings a telephone'],
];

export function isExcluded(operation: string): boolean {
  return EXCLUDED.some(([pattern]) => pattern.test(operation));
}

export function documented(random: Random, context: FuzzContext): Message {
  const [method, path, parameters, keys] = random.pick(context.operations);
  const filled = path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => {
    if (name === 'filename') return encodeURIComponent(random.pick(context.names));
    return encodeURIComponent(random.once(3) ? junk(random, 8) : random.pick(['client', 'a', '0'])) || 'a';
  });
  const query = parameters
    .filter(() => random.once(3))
    .map((name) => `${name}=${encodeURIComponent(random.once(2) ? number(random) : junk(random, 6))}`);
  if (random.once(20)) query.push(`${encodeURIComponent(junk(random, 4))}=${junk(random, 3).replaceAll(/[^\w]/g, '')}`);
  const target = query.length > 0 ? `${filled}?${query.join('&')}` : filled;
  const fields: Field[] = [auth(random, context)];
  if (random.once(20))
    fields.push([
      random.pick(['Accept', 'Cookie', 'Origin', 'Forwarded', 'Last-Event-ID', 'Sec-Fetch-Site']),
      junk(random),
    ]);
  if (method === 'GET' || method === 'HEAD') return message(random, context, ['documented', method, target], fields);
  const document = Object.fromEntries(keys.filter(() => random.once(2)).map((key) => [key, value(random)]));
  if (random.once(10)) document[junk(random, 4)] = value(random);
  const text = random.once(15) ? junk(random, 40) : JSON.stringify(random.once(15) ? value(random) : document);
  if (keys.length > 0) fields.push(['Content-Type', random.once(15) ? junk(random) : 'application/json']);
  const body = keys.length > 0 || random.once(8) ? Buffer.from(text) : null;
  return message(random, context, ['documented', method, target], fields, body);
}

/** Framing fields, valid and invalid, from published request smuggling attacks. */
const FRAMING: readonly string[] = [
  'Content-Length: 5',
  'Content-Length: 5\r\nContent-Length: 5',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length: 0x5',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Content-Length : 5',
  ' Content-Length: 5',
  'Content-Length:\r\n 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 5',
  'Content-Length: 5\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding:\x0bchunked',
  'Transfer-Encoding: "chunked"',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\n\tfolded',
  'Transfer_Encoding: chunked',
];

const BODIES: readonly string[] = [
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5\nhello\n0\n\n',
  '5;a\r\nhello\r\n0\r\n\r\n',
  '5;a\nx\r\nhello\r\n0\r\n\r\n',
  'ffffffffffffffff1\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5\r\nhelloXX0\r\n\r\n',
  '0\r\nX: y\r\n\r\n',
  '0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n',
  '',
];

export function framing(random: Random, context: FuzzContext): Message {
  const [method, path] = random.pick<readonly [string, string]>([
    ['POST', `/api/files/upload?filename=${encodeURIComponent(random.pick(context.names))}`],
    ['PUT', `/api/files/content/${encodeURIComponent(random.pick(context.names))}`],
    ['GET', '/health'],
    ['HEAD', '/health'],
    ['POST', '/auth/token'],
    ['DELETE', `/api/files/${encodeURIComponent(random.pick(context.names))}`],
    ['OPTIONS', '/api/files'],
    ['GET', '/openapi.json'],
  ]);
  const version = random.once(8)
    ? random.pick(['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', '', 'HTTP/1.1 x'])
    : 'HTTP/1.1';
  const host = random.once(10)
    ? random.pick(['', 'Host: a\r\nHost: b\r\n', 'Host : a\r\n', 'Host: a b\r\n', 'Host:\r\n'])
    : `Host: ${context.host}\r\n`;
  const token = `Authorization: Bearer ${context.tokens[0]}\r\n`;
  const more = random.once(6)
    ? `${random.pick(['Connection: close', 'Connection: keep-alive, x', 'Upgrade: h2c', 'Expect: 100-continue', 'Expect: x', 'TE: trailers', `X-${junk(random, 4)}: ${junk(random)}`])}\r\n`
    : '';
  const end = random.once(20) ? random.pick(['\n', '\r\r\n', '\n\r\n']) : '\r\n';
  const target = random.once(15)
    ? random.pick([`http://${context.host}${path}`, `//${path}`, '*', `${path}#a`, `${path}%`, `\\${path}`, 'a:443'])
    : path;
  const text = `${method} ${target} ${version}\r\n${host}${token}${more}${random.pick(FRAMING as [string, ...string[]])}\r\n${end}${random.pick(BODIES as [string, ...string[]])}`;
  return { kind: 'framing', method, target, bytes: Buffer.from(text, 'latin1'), sound: false };
}

/** A valid message with some bytes changed. */
export function damaged(random: Random, context: FuzzContext): Message {
  const { kind, method, target, bytes } = random.pick(SOUND)(random, context);
  let changed = Buffer.from(bytes);
  for (let times = random.int(1, 4); times > 0; times -= 1) {
    const at = random.int(0, changed.length - 1);
    const to = Math.min(changed.length, at + random.int(1, 20));
    const before = changed.subarray(0, at);
    const kindOfDamage = random.int(0, 4);
    if (kindOfDamage === 0) changed[at] = random.int(0, 255);
    else if (kindOfDamage === 1) changed = Buffer.concat([before, changed.subarray(to)]);
    else if (kindOfDamage === 2)
      changed = Buffer.concat([before, bytesOf(random, random.int(1, 8)), changed.subarray(at)]);
    else if (kindOfDamage === 3) changed = Buffer.concat([changed.subarray(0, to), changed.subarray(at)]);
    else changed = Buffer.from(before);
    if (changed.length === 0) changed = Buffer.from('\r\n');
  }
  return { kind: `damaged ${kind}`, method, target, bytes: changed, sound: false };
}

/** Several requests in one write. */
export function pipelined(random: Random, context: FuzzContext): Message {
  const first = random.pick(SOUND)(random, context);
  const second = random.pick(SOUND)(random, context);
  const tail = random.once(4) ? chunked(random, bytesOf(random, 20)) : raw('GET', '/health', [['Host', context.host]]);
  return { ...first, kind: 'pipelined', bytes: Buffer.concat([first.bytes, second.bytes, tail]), sound: false };
}

const SOUND: [Shape, ...Shape[]] = [rawChunk, form, tus, resumable, ranges, documented];

/** All kinds with their shares of the run. */
export const SHAPES: readonly [Shape, share: number][] = [
  [rawChunk, 18],
  [form, 10],
  [tus, 14],
  [resumable, 14],
  [ranges, 14],
  [documented, 12],
  [framing, 8],
  [damaged, 8],
  [pipelined, 2],
];
