/** Kinds of requests that upload files: chunks, forms, tus, resumable uploads. */
import { createHash } from 'node:crypto';
import type { Random } from '../support/random.ts';
import { auth, bytesOf, type Field, type FuzzContext, junk, type Message, message, number } from './message.ts';

const HUGE = [2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n] as const;

function word(bytes: Buffer, at: number, value: bigint): void {
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value), at);
}

/** A chunk, usually a valid one. The data depends on the offset, so that the chunks of a file fit together. */
function chunk(random: Random): Buffer {
  const start = random.int(0, 60);
  const length = random.int(1, 40);
  const data = Buffer.from(Array.from({ length }, (_, i) => (start + i) & 0xff));
  if (random.once(12)) data[0] = random.int(0, 255);
  const header = Buffer.alloc(17);
  word(header, 0, BigInt(start));
  word(header, 8, BigInt(start + length - 1));
  header[16] = data.reduce((sum, byte) => (sum + byte) & 0xff, 0);
  if (random.once(10)) word(header, random.pick([0, 8]), random.pick(HUGE));
  if (random.once(10)) header[16] = random.int(0, 255);
  const whole = Buffer.concat([header, data]);
  if (random.once(10)) return whole.subarray(0, random.int(0, whole.length));
  return random.once(15) ? Buffer.concat([whole, bytesOf(random, random.int(1, 30))]) : whole;
}

function digestOf(random: Random, body: Buffer): string {
  const digest = createHash('sha256').update(body).digest('base64');
  const text = [`sha-256=:${digest}:`, 'sha-256=:AAAA:', 'sha-256=1', `sha-256=:${junk(random)}:`, junk(random)];
  return random.pick(text as [string, ...string[]]);
}

function encodedName(random: Random, context: FuzzContext): string {
  return random.once(25)
    ? encodeURIComponent(junk(random, 8)).slice(0, 200)
    : encodeURIComponent(random.pick(context.names));
}

function chunkTarget(random: Random, context: FuzzContext): string {
  const query = [`filename=${encodedName(random, context)}`];
  if (random.once(2)) query.push(`total_size=${random.once(5) ? number(random) : 100}`);
  if (random.once(6)) query.push(`overwrite=${random.pick(['true', 'false', '1', ''])}`);
  if (random.once(12))
    query.push(`content_type=${encodeURIComponent(random.pick(['text/plain', 'a/b; c="d"', 'x', '']))}`);
  if (random.once(30)) query.push(`${encodeURIComponent(junk(random, 4))}=1`);
  return `/api/files/upload?${query.join('&')}`;
}

function chunkFields(random: Random, body: Buffer): Field[] {
  const fields: Field[] = [];
  if (random.once(8)) fields.push(['X-Chunk-CRC32', random.pick(['00000000', 'xyz', '3610A686', ''])]);
  if (random.once(8)) fields.push(['Content-Digest', digestOf(random, body)]);
  if (random.once(12)) fields.push(['Repr-Digest', digestOf(random, body)]);
  if (random.once(6)) {
    fields.push([
      'Content-Range',
      random.pick([
        'bytes 0-4/100',
        'bytes */100',
        `bytes ${number(random)}-${number(random)}/${number(random)}`,
        junk(random),
      ]),
    ]);
  }
  if (random.once(12)) fields.push(['Content-Encoding', random.pick(['gzip', 'identity', 'br, gzip', junk(random)])]);
  if (random.once(12)) fields.push(['If-Match', random.pick(['*', '"stale"', 'W/"a"', junk(random)])]);
  return fields;
}

export function rawChunk(random: Random, context: FuzzContext): Message {
  const body = random.once(20) ? bytesOf(random, random.int(0, 400)) : chunk(random);
  const type = random.once(12) ? junk(random) : 'application/octet-stream';
  const fields: Field[] = [auth(random, context), ['Content-Type', type], ...chunkFields(random, body)];
  return message(random, context, ['chunk', 'POST', chunkTarget(random, context)], fields, body);
}

type FormRoute = readonly [path: string, part: string];

const FORMS: readonly [FormRoute, ...FormRoute[]] = [
  ['/api/files/upload', 'file'],
  ['/v1/audio/file', 'file'],
  ['/api/upload', 'audio_file'],
  ['/ops/upload', 'request_file'],
];

export function form(random: Random, context: FuzzContext): Message {
  const [path, part] = random.once(2) ? FORMS[0] : random.pick(FORMS);
  const boundary = random.once(15) ? junk(random, 80) : 'fuzz-boundary';
  const line = random.once(20) ? '\n' : '\r\n';
  const pieces: Buffer[] = random.once(10) ? [Buffer.from(`preamble${line}`)] : [];
  for (let count = random.once(4) ? random.int(0, 40) : 1; count > 0; count -= 1) {
    const name = random.once(4) ? random.pick(['note', 'overwrite', 'filename', '', part, '__proto__']) : part;
    const file = random.once(8)
      ? ''
      : `; filename="${random.pick(['a.wav', '', '../x', 'l\u00e9.wav', 'C:\\d\\x', '"'])}"`;
    const more = random.once(8) ? `${line}Content-Type: ${junk(random)}` : '';
    const head = `--${boundary}${line}Content-Disposition: form-data; name="${name}"${file}${more}${line}${line}`;
    pieces.push(
      Buffer.from(head, 'latin1'),
      random.once(10) ? bytesOf(random, random.int(0, 300)) : chunk(random),
      Buffer.from(line),
    );
  }
  pieces.push(Buffer.from(random.once(10) ? `--${boundary}` : `--${boundary}--${line}`, 'latin1'));
  if (random.once(15)) pieces.push(bytesOf(random, 30));
  const type = `multipart/form-data${random.once(15) ? '' : `; boundary=${random.once(5) ? `"${boundary}"` : boundary}`}`;
  const target =
    path === '/api/files/upload' ? chunkTarget(random, context) : path + random.pick(['', '?overwrite=true', '?x=1']);
  const body = Buffer.concat(pieces);
  const digest: Field[] = random.once(10) ? [['Content-Digest', digestOf(random, body)]] : [];
  return message(
    random,
    context,
    ['form', 'POST', target],
    [auth(random, context), ['Content-Type', type], ...digest],
    body,
  );
}

function addressOf(random: Random, known: readonly string[], folder: string): string {
  const address = known[random.int(Math.max(0, known.length - 40), known.length - 1)];
  return address === undefined || random.once(20)
    ? `${folder}${junk(random, 12).replaceAll(/[^\w.-]/g, 'x')}`
    : address;
}

function metadata(random: Random, context: FuzzContext): string {
  const name = Buffer.from(random.pick(context.names)).toString('base64');
  const one = [
    `filename ${name}`,
    `filename ${name},filetype dGV4dC9wbGFpbg==`,
    `filename ${junk(random)}`,
    'filename',
    junk(random),
    '',
  ];
  return random.once(2) ? `filename ${name}` : random.pick(one as [string, ...string[]]);
}

export function tus(random: Random, context: FuzzContext): Message {
  const method = random.pick(['POST', 'POST', 'PATCH', 'PATCH', 'PATCH', 'HEAD', 'DELETE', 'GET', 'OPTIONS']);
  const target = method === 'POST' ? '/files/' : addressOf(random, context.tus, '/files/');
  const fields: Field[] = [auth(random, context)];
  if (!random.once(15)) fields.push(['Tus-Resumable', random.once(20) ? junk(random) : '1.0.0']);
  const body = method === 'PATCH' || (method === 'POST' && random.once(2)) ? bytesOf(random, random.int(0, 48)) : null;
  if (body) fields.push(['Content-Type', random.once(15) ? junk(random) : 'application/offset+octet-stream']);
  if (method === 'POST') {
    fields.push(
      random.once(10) ? ['Upload-Defer-Length', random.pick(['1', '0', ''])] : ['Upload-Length', number(random)],
    );
    fields.push(['Upload-Metadata', metadata(random, context)]);
    if (random.once(6)) {
      const parts = `final;${addressOf(random, context.tus, '/files/')} ${addressOf(random, context.tus, '/files/')}`;
      fields.push(['Upload-Concat', random.pick(['partial', parts, 'final;', junk(random)])]);
    }
  }
  if (method === 'PATCH') fields.push(['Upload-Offset', number(random, 48)]);
  if (body && random.once(6)) {
    const sum = createHash('sha1').update(body).digest('base64');
    fields.push(['Upload-Checksum', random.pick([`sha1 ${sum}`, 'sha1 AAAA', 'md9 x', junk(random)])]);
  }
  if (random.once(20)) fields.push(['X-HTTP-Method-Override', random.pick(['PATCH', 'DELETE', 'TRACE', junk(random)])]);
  const request = message(random, context, ['tus', method, target], fields, body);
  // With an override, the reply belongs to a different method.
  return { ...request, sound: request.sound && !fields.some(([name]) => name === 'X-HTTP-Method-Override') };
}

export function resumable(random: Random, context: FuzzContext): Message {
  const method = random.pick(['POST', 'PUT', 'PATCH', 'PATCH', 'PATCH', 'HEAD', 'GET', 'DELETE', 'OPTIONS']);
  const named = method === 'PUT' || (method === 'POST' && random.once(2));
  const content = `/api/files/content/${encodedName(random, context)}`;
  const target = named
    ? content
    : method === 'POST'
      ? '/api/uploads'
      : addressOf(random, context.resumable, '/api/uploads/');
  const fields: Field[] = [auth(random, context)];
  const complete = random.once(8)
    ? random.pick(['?2', '1', '?1;a=b', '("?1")', junk(random)])
    : random.pick(['?0', '?1']);
  if (!random.once(6)) fields.push(['Upload-Complete', complete]);
  if (random.once(4)) fields.push(['Upload-Draft-Interop-Version', random.pick(['8', '6', '3', junk(random)])]);
  if (random.once(3)) fields.push(['Upload-Length', number(random)]);
  if (method === 'PATCH' || random.once(20)) fields.push(['Upload-Offset', number(random, 48)]);
  const body = method === 'POST' || method === 'PUT' || method === 'PATCH' ? bytesOf(random, random.int(0, 48)) : null;
  if (method === 'PATCH') fields.push(['Content-Type', random.once(15) ? junk(random) : 'application/partial-upload']);
  if (random.once(8))
    fields.push([
      'Content-Disposition',
      random.pick([`attachment; filename="${random.pick(context.names)}"`, junk(random)]),
    ]);
  if (body && random.once(8)) fields.push(['Content-Digest', digestOf(random, body)]);
  if (body && random.once(8)) fields.push(['Repr-Digest', digestOf(random, body)]);
  if (random.once(10))
    fields.push([random.pick(['If-Match', 'If-None-Match']), random.pick(['*', '"x"', junk(random)])]);
  if (random.once(12)) fields.push(['Content-Range', random.pick(['bytes 1-2/3', junk(random)])]);
  return message(random, context, ['resumable', method, target], fields, body);
}
