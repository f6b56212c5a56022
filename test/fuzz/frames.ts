/** Runs HTTP/2 sessions over TLS that are wrong in one way each, and checks the server during and after them. */
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
import { statusOf } from './hpack.ts';
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
  /** The number of sessions by how they ended. */
  ends: Map<string, number>;
  before: Vitals;
  after: Vitals;
  peak: number;
  faults: string[];
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** The last request of a session. */
const LAST = 99_999;
const FIRST = 1;
const FAULTS_ALLOWED = new Set([501, 503, 507]);
const MAX_FAULTS = 30;
const KINDS = Object.entries({ ...SESSION_KINDS, ...REQUEST_KINDS });
/** Generous limits, which only detect hangs and leaks. */
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
  const context = await contextOf(target);
  await Promise.all(Array.from({ length: 20 }, () => call(target, 'GET', '/health')));
  const before = target.vitals();
  const report: FrameReport = {
    ...{ sessions: 0, seconds: 0, kinds: new Map(), statuses: new Map(), ends: new Map() },
    ...{ before, after: before, peak: before.resident, faults: [] },
  };
  const since = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < sessions && performance.now() - since < seconds * 1000 && report.faults.length < MAX_FAULTS) {
      if (target.ended() !== null) return;
      const index = next;
      next += 1;
      const random = randomFrom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
      await one(target, context, random, index, report);
      report.peak = Math.max(report.peak, target.vitals().resident);
    }
  };
  await Promise.all(Array.from({ length: connections }, work));
  report.seconds = (performance.now() - since) / 1000;
  await afterwards(target, context, report);
  return report;
}

async function one(
  target: Target,
  context: FrameContext,
  random: Random,
  index: number,
  report: FrameReport,
): Promise<void> {
  const [kind, make] = pickOf(random, KINDS);
  const session = { kind, ...make(random, context) };
  const outcome = await exchange(target, context, session, random);
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
  if (end === 'silent') fault('neither a reply nor the end of the connection');
  if (session.fate === 'alive' && end !== 'alive') fault('the session ended, although only one stream was wrong');
  if (session.fate === 'ended' && end !== 'ended') fault('the session continues, although it was malformed');
}

interface Outcome {
  /** In the order of arrival. */
  statuses: number[];
  /** `alive`: the last request was answered; `refused`: its stream was reset. */
  end: 'alive' | 'ended' | 'refused' | 'silent';
}

async function exchange(target: Target, context: FrameContext, session: Session, random: Random): Promise<Outcome> {
  const socket = await secureSocket(target.port, ['h2']);
  const statuses: number[] = [];
  const health = request(context, 'GET', '/health');
  // Without a dynamic table, the server encodes each status in the same few bytes.
  const begin = [session.preface ?? PREFACE, settings([1, 0])];
  const sent = [...begin, headersFrame(FIRST, health), ...session.frames, headersFrame(LAST, health)];
  const end = new Promise<Outcome['end']>((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS, 'silent');
    const ends = (how: Outcome['end']): void => {
      clearTimeout(timer);
      resolve(how);
    };
    socket.on('end', () => ends('ended')).on('close', () => ends('ended'));
    readFrames(socket, (type, stream, payload) => {
      // GOAWAY that names an error.
      if (type === 7 && payload.readUInt32BE(4) !== 0) ends('ended');
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

/** Writes the frames at once, frame by frame, or split at a random byte. */
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

/** Calls `onFrame` for each complete frame, acknowledges settings, and extends windows. */
function readFrames(socket: TLSSocket, onFrame: (type: number, stream: number, payload: Buffer) => void): void {
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
      onFrame(type, stream, payload);
    }
  });
}

async function contextOf(target: Target): Promise<FrameContext> {
  const form = new URLSearchParams({ username: ADMIN.id, password: ADMIN.secret }).toString();
  const reply = await call(target, 'POST', '/auth/token', form, {
    'content-type': 'application/x-www-form-urlencoded',
  });
  const { access_token: token } = JSON.parse(reply.body) as { access_token: string };
  const { paths } = JSON.parse((await call(target, 'GET', '/openapi.json')).body) as { paths: Record<string, object> };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => ['get', 'put', 'post', 'patch', 'delete', 'head', 'options'].includes(method))
      // These end the session of the run, or never end.
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

async function afterwards(target: Target, context: FrameContext, report: FrameReport): Promise<void> {
  const { faults, before } = report;
  const end = target.ended();
  if (end !== null) faults.push(`the server ended: ${end}`);
  faults.push(...target.faults.slice(0, 20).map((line) => `the log says: ${line.slice(0, 1000)}`));
  if (end !== null) return;
  const authorization = `Bearer ${context.token}`;
  for (const name of context.names) {
    const url = `/api/files/content/${name}`;
    const put = () => call(target, 'PUT', url, 'hello', { authorization, 'content-type': 'text/plain' });
    let removed = await call(target, 'DELETE', `/api/files/${name}`, '', { authorization });
    let kept = await put();
    // Requests of the last sessions may still be running.
    for (let attempt = 0; attempt < 50 && kept.status === 409; attempt += 1) {
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
  for (let attempt = 0; attempt < 200 && report.after.sockets > before.sockets + SOCKETS; attempt += 1) {
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
