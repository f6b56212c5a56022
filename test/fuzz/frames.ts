/** Sessions of HTTP/2 frames that are wrong in one way each, over TLS, and what must hold during them and after. */
import { mkdtemp, rm } from 'node:fs/promises';
import { request as ask } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { type Random, randomFrom } from '../support/random.ts';
import { tlsSettings } from '../support/wire/tls.ts';
import { frame, secureSocket } from '../support/wire/unread.ts';
import { REQUEST_KINDS } from './frame-requests.ts';
import { SESSION_KINDS } from './frame-sessions.ts';
import { type FrameContext, headersFrame, pickOf, request, type Session, settings } from './frame-wire.ts';
import { ADMIN, startTarget, type Target, type Vitals } from './target.ts';

export interface FrameOptions {
  sessions: number;
  seed: number;
  connections: number;
  seconds: number;
}

export interface FrameReport {
  sessions: number;
  seconds: number;
  kinds: Map<string, number>;
  statuses: Map<number, number>;
  /** How sessions ended: the last request was answered, or the server ended it. */
  ends: Map<string, number>;
  before: Vitals;
  after: Vitals;
  most: number;
  faults: string[];
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** The last request of a session. */
const LAST = 99_999;
const FIRST = 1;
const FAULTS_ALLOWED = new Set([501, 503, 507]);
const MAX_FAULTS = 30;
const KINDS = Object.entries({ ...SESSION_KINDS, ...REQUEST_KINDS });
/** The bounds are wide: they are for what hangs or grows. */
const PATIENCE_MS = 30_000;
const GROWTH_BYTES = 160 * 1024 ** 2;
const SOCKETS = 20;

export async function fuzzFrames(options: FrameOptions): Promise<FrameReport> {
  const folder = await mkdtemp(join(tmpdir(), 'lading-frames-'));
  const target = await startTarget(await tlsSettings(folder));
  try {
    return await run(options, target);
  } finally {
    await target.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function run({ sessions, seed, connections, seconds }: FrameOptions, target: Target): Promise<FrameReport> {
  const place = await placeOf(target);
  await Promise.all(Array.from({ length: 20 }, () => call(target, 'GET', '/health')));
  const before = target.vitals();
  const report: FrameReport = {
    ...{ sessions: 0, seconds: 0, kinds: new Map(), statuses: new Map(), ends: new Map() },
    ...{ before, after: before, most: before.resident, faults: [] },
  };
  const since = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < sessions && performance.now() - since < seconds * 1000 && report.faults.length < MAX_FAULTS) {
      if (target.ended() !== null) return;
      const index = next;
      next += 1;
      const random = randomFrom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
      await one(target, place, random, index, report);
      report.most = Math.max(report.most, target.vitals().resident);
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  report.seconds = (performance.now() - since) / 1000;
  await afterwards(target, place, report);
  return report;
}

async function one(
  target: Target,
  place: FrameContext,
  random: Random,
  index: number,
  report: FrameReport,
): Promise<void> {
  const [kind, make] = pickOf(random, KINDS);
  const session = { kind, ...make(random, place) };
  const outcome = await exchange(target, place, session, random);
  const { statuses, end } = outcome;
  report.sessions += 1;
  count(report.kinds, session.kind);
  count(report.ends, end);
  for (const status of statuses) count(report.statuses, status);
  const sent = Buffer.concat(session.frames);
  const fault = (what: string): void => {
    const start = sent.subarray(0, 400).toString('hex');
    report.faults.push(`session ${index} ${session.kind}: ${what}\n    ${sent.length} bytes: ${start}`);
  };
  for (const status of statuses) if (status >= 500 && !FAULTS_ALLOWED.has(status)) fault(`answered ${status}`);
  if (end === 'silent') fault('neither an answer nor an end');
  if (session.fate === 'alive' && end !== 'alive') fault('ended, though only a stream was wrong');
  if (session.fate === 'over' && end !== 'over') fault('goes on, though the whole session was wrong');
}

interface Outcome {
  /** In the order in which they came. */
  statuses: number[];
  /** `alive`: the request after all was answered; `refused`: its stream was. */
  end: 'alive' | 'over' | 'refused' | 'silent';
}

async function exchange(target: Target, place: FrameContext, session: Session, random: Random): Promise<Outcome> {
  const socket = await secureSocket(target.port, ['h2']);
  const statuses: number[] = [];
  const health = request(place, 'GET', '/health');
  // Without a table for fields the server says each status in the same few bytes.
  const begin = [session.preface ?? PREFACE, settings([1, 0])];
  const sent = [...begin, headersFrame(FIRST, health), ...session.frames, headersFrame(LAST, health)];
  const end = new Promise<Outcome['end']>((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS, 'silent');
    const ends = (how: Outcome['end']): void => {
      clearTimeout(timer);
      resolve(how);
    };
    socket.on('end', () => ends('over')).on('close', () => ends('over'));
    readFrames(socket, (type, stream, payload) => {
      // GOAWAY that names an error.
      if (type === 7 && payload.readUInt32BE(4) !== 0) ends('over');
      if (type === 3 && stream === LAST) ends('refused');
      if (type !== 1) return;
      const status = statusOf(payload);
      if (status !== null && status >= 200) statuses.push(status);
      if (stream === LAST && status !== null && status >= 200) ends('alive');
    });
  });
  await write(socket, sent, random);
  const how = await end;
  socket.destroy();
  return { statuses, end: how };
}

/** As a whole, frame by frame, or cut anywhere. */
async function write(socket: TLSSocket, frames: readonly Buffer[], random: Random): Promise<void> {
  if (random.once(3)) {
    for (const one of frames) if (!socket.destroyed) socket.write(one);
    return;
  }
  const all = Buffer.concat(frames);
  const at = random.once(2) ? all.length : random.int(0, all.length);
  socket.write(all.subarray(0, at));
  await new Promise((resolve) => setImmediate(resolve));
  if (at < all.length && !socket.destroyed) socket.write(all.subarray(at));
}

/** Tells of each whole frame, answers settings and opens windows again. */
function readFrames(socket: TLSSocket, hear: (type: number, stream: number, payload: Buffer) => void): void {
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (piece: Buffer) => {
    received = Buffer.concat([received, piece]);
    while (received.length >= 9) {
      const length = received.readUIntBE(0, 3);
      if (received.length < 9 + length) return;
      const [type = 0, flags = 0] = received.subarray(3, 5);
      const stream = received.readUInt32BE(5) & 0x7fffffff;
      const payload = received.subarray(9, 9 + length);
      received = received.subarray(9 + length);
      if (type === 4 && (flags & 1) === 0) socket.write(frame(4, 1, 0, Buffer.alloc(0)));
      if (type === 0 && length > 0) {
        const by = Buffer.alloc(4);
        by.writeUInt32BE(length);
        socket.write(frame(8, 0, 0, by));
      }
      hear(type, stream, payload);
    }
  });
}

const INDEXED = [200, 204, 206, 304, 400, 404, 500];
/** Digits in the Huffman code of HPACK: the first three have five bits, the others six (RFC 7541, Appendix B). */
const SHORT_DIGITS = 3;

/** The status, which is the first field of a response; null for trailers. */
function statusOf(block: Buffer): number | null {
  let at = 0;
  while (((block[at] ?? 0) & 0xe0) === 0x20) at += 1;
  const first = block[at] ?? 0;
  if (first >= 0x88 && first <= 0x8e) return INDEXED[first - 0x88] ?? null;
  const named = first & 0x40 ? first & 0x3f : first & 0x0f;
  if (named < 8 || named > 14) return null;
  const length = block[at + 1] ?? 0;
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f));
  return Number(length & 0x80 ? unpackedDigits(value) : value.toString('latin1'));
}

function unpackedDigits(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let digits = '';
  for (let at = 0; digits.length < 3; ) {
    const short = Number.parseInt(bits.slice(at, at + 5), 2);
    if (short < SHORT_DIGITS) {
      digits += short;
      at += 5;
    } else {
      // `3` is 011001.
      digits += Number.parseInt(bits.slice(at, at + 6), 2) - 0b011001 + 3;
      at += 6;
    }
  }
  return digits;
}

async function placeOf(target: Target): Promise<FrameContext> {
  const form = new URLSearchParams({ username: ADMIN.id, password: ADMIN.secret }).toString();
  const reply = await call(target, 'POST', '/auth/token', form, {
    'content-type': 'application/x-www-form-urlencoded',
  });
  const { access_token: token } = JSON.parse(reply.body) as { access_token: string };
  const { paths } = JSON.parse((await call(target, 'GET', '/openapi.json')).body) as { paths: Record<string, object> };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => ['get', 'put', 'post', 'patch', 'delete', 'head', 'options'].includes(method))
      // Ends the sign-in of the run, or has no end.
      .filter((method) => !/logout|sessions|\/api\/events/.test(path) || method === 'options')
      .map((method) => [method.toUpperCase(), path.replaceAll(/\{[^}]*\}/g, 'x')] as const),
  );
  return {
    authority: `localhost:${target.port}`,
    token,
    names: ['a.bin', 'b.bin', 'c.bin', 'd.bin', 'many.bin'],
    operations,
  };
}

interface Reply {
  status: number;
  body: string;
}

function call(
  { port }: Target,
  method: string,
  path: string,
  body = '',
  headers: Record<string, string> = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, method, path, rejectUnauthorized: false, timeout: PATIENCE_MS };
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    const sent = ask({ ...options, headers: { ...length, ...headers }, agent: false }, (reply) => {
      const pieces: Buffer[] = [];
      reply.on('data', (piece: Buffer) => pieces.push(piece));
      reply.on('end', () => resolve({ status: reply.statusCode ?? 0, body: Buffer.concat(pieces).toString() }));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', reject);
    sent.end(body);
  });
}

async function afterwards(target: Target, place: FrameContext, report: FrameReport): Promise<void> {
  const { faults, before } = report;
  const end = target.ended();
  if (end !== null) faults.push(`the server ended: ${end}`);
  faults.push(...target.faults.slice(0, 20).map((line) => `the log says: ${line.slice(0, 1000)}`));
  if (end !== null) return;
  const authorization = `Bearer ${place.token}`;
  for (const name of place.names) {
    const url = `/api/files/content/${name}`;
    const put = () => call(target, 'PUT', url, 'hello', { authorization, 'content-type': 'text/plain' });
    let removed = await call(target, 'DELETE', `/api/files/${name}`, '', { authorization });
    let kept = await put();
    // The last sessions may just have ended.
    for (let tries = 0; tries < 50 && kept.status === 409; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      removed = await call(target, 'DELETE', `/api/files/${name}`, '', { authorization });
      kept = await put();
    }
    const read = await call(target, 'GET', `/api/files/download/${name}`, '', { authorization });
    if (![200, 204, 404].includes(removed.status) || ![200, 201].includes(kept.status) || read.body !== 'hello') {
      faults.push(
        `${name} is stuck: DELETE ${removed.status}, PUT ${kept.status} ${kept.body}, GET ${read.status} ${read.body}`,
      );
    }
  }
  report.after = target.vitals();
  for (let tries = 0; tries < 200 && report.after.sockets > before.sockets + SOCKETS; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    report.after = target.vitals();
  }
  if (report.after.sockets > before.sockets + SOCKETS) {
    faults.push(`${report.after.sockets} connections are open, ${before.sockets} before`);
  }
  report.after = await target.collected();
  if (report.after.resident > before.resident + GROWTH_BYTES) {
    faults.push(`memory grew from ${before.resident} to ${report.after.resident} bytes`);
  }
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
