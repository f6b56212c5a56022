/** A run of the raw-socket fuzzer, and what must hold during it and after it. */

import { type Random, randomFrom } from '../support/random.ts';
import { operationsOf } from '../support/tables/openapi.ts';
import { OpenApiChecker } from '../support/tables/openapi-checker.ts';
import { Connection, type Outcome } from './connection.ts';
import { type Described, type FuzzContext, type Message, raw, type Shape } from './message.ts';
import { isExcluded, SHAPES } from './requests.ts';
import { ADMIN, startTarget, type Target, type Vitals } from './target.ts';

export interface Options {
  requests: number;
  seed: number;
  connections: number;
  /** It ends after so long, however many requests were sent. */
  seconds: number;
}

export interface Report {
  sent: number;
  seconds: number;
  statuses: Map<number, number>;
  kinds: Map<string, number>;
  /** Connections that the server closed without an answer. */
  unanswered: number;
  before: Vitals;
  after: Vitals;
  /** Resident bytes over the run. */
  memory: number[];
  slowestHealthMs: number;
  /** What went wrong, each with how to see it again. */
  faults: string[];
}

/** 501: a transfer coding that is not known (RFC 9112 §6.1). */
const FAULTS_ALLOWED = new Set([501, 503, 507]);
const MAX_FAULTS = 50;
const MAX_ADDRESSES = 200;
const MEMORY_SAMPLES = 200;
/** The bounds are wide: they are for what hangs or grows, not for what is slow. */
const HEALTH_MS = 5_000;
const GROWTH_BYTES = 96 * 1024 ** 2;
const GROWTH = 1.3;
const SOCKETS = 20;
/** The server keeps files open in case they are needed again: so many at most. */
const DESCRIPTORS = 3 * 256 + 100;

export async function fuzz(options: Options, progress: (report: Report) => void): Promise<Report> {
  const target = await startTarget();
  try {
    return await new Run(options, target).go(progress);
  } finally {
    await target.stop();
  }
}

class Run {
  readonly #options: Options;
  readonly #target: Target;
  readonly #report: Report;
  readonly #world: FuzzContext;
  #truth: OpenApiChecker | null = null;
  #next = 0;
  /** Addresses of uploads that no message speaks of any more; they are ended, or open uploads would be without number. */
  readonly #retired: string[] = [];

  constructor(options: Options, target: Target) {
    this.#options = options;
    this.#target = target;
    const nothing = { resident: 0, descriptors: 0, sockets: 0 };
    this.#report = {
      sent: 0,
      seconds: 0,
      statuses: new Map(),
      kinds: new Map(),
      unanswered: 0,
      before: nothing,
      after: nothing,
      memory: [],
      slowestHealthMs: 0,
      faults: [],
    };
    this.#world = {
      host: `127.0.0.1:${target.port}`,
      tokens: ['', ''],
      names: [
        'a.bin',
        'b/c.txt',
        'sound.wav',
        'n\u00e4me.txt',
        ...Array.from({ length: 28 }, (_, i) => `f${i}.bin`),
      ] as never,
      tus: [],
      resumable: [],
      tags: [],
      operations: [] as never,
    };
  }

  async go(progress: (report: Report) => void): Promise<Report> {
    const report = this.#report;
    await this.#prepare();
    report.before = this.#target.vitals();
    const since = performance.now();
    const late = since + this.#options.seconds * 1000;
    const every = Math.max(1, Math.floor(this.#options.requests / MEMORY_SAMPLES));
    const health = setInterval(() => void this.#askHealth(), 500);
    const shown = setInterval(() => {
      report.seconds = (performance.now() - since) / 1000;
      progress(report);
    }, 10_000);
    const work = async (): Promise<void> => {
      const connection = new Connection(this.#target.port);
      while (this.#next < this.#options.requests && performance.now() < late && report.faults.length < MAX_FAULTS) {
        if (this.#target.ended() !== null) break;
        const index = this.#next;
        this.#next += 1;
        await this.#one(connection, index);
        if (index % every === 0) report.memory.push(this.#target.vitals().resident);
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: this.#options.connections }, work));
    clearInterval(health);
    clearInterval(shown);
    report.seconds = (performance.now() - since) / 1000;
    await this.#afterwards();
    return report;
  }

  async #prepare(): Promise<void> {
    const { origin } = this.#target;
    const admin = await this.#target.token(ADMIN.id, ADMIN.secret);
    const headers = { authorization: `Bearer ${admin}`, 'content-type': 'application/json' };
    const made = await fetch(`${origin}/api/clients`, { method: 'POST', headers, body: '{"role":"client"}' });
    const { client_id: id, client_secret: secret } = (await made.json()) as Record<string, string>;
    const client = await this.#target.token(id ?? '', secret ?? '');
    const operations = (await operationsOf(origin))
      .filter(({ name }) => !isExcluded(name))
      .map(({ method, path, parameters, body }): Described => {
        return [method, path, parameters.map(({ name }) => name), Object.keys((body?.properties ?? {}) as object)];
      });
    Object.assign(this.#world, { tokens: [client, admin], operations });
    this.#truth = new OpenApiChecker((await (await fetch(`${origin}/openapi.json`)).json()) as object);
  }

  /** Each message follows from the seed and its number, and from the addresses that the server gave before. */
  async #one(connection: Connection, index: number): Promise<void> {
    const random = randomFrom(Math.imul(this.#options.seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
    const retired = this.#retired.shift();
    const message = retired === undefined ? shapeOf(random)(random, this.#world) : ending(this.#world, retired);
    const outcome = await connection.exchange(message, random);
    this.#report.sent += 1;
    count(this.#report.kinds, message.kind.startsWith('damaged') ? 'damaged' : message.kind);
    this.#judge(message, outcome, index);
    this.#learn(message, outcome);
  }

  #judge(message: Message, { replies, end }: Outcome, index: number): void {
    const fault = (what: string): void => {
      if (this.#report.faults.length >= MAX_FAULTS) return;
      const shown = JSON.stringify(message.bytes.toString('latin1').slice(0, 1500));
      this.#report.faults.push(`#${index} ${message.kind}: ${what}\n    ${shown}`);
    };
    if (end === 'silent') fault('neither an answer nor an end');
    const final = replies.filter(({ status }) => status >= 200 || status === 0);
    if (final.length === 0) this.#report.unanswered += 1;
    for (const { status, fields, body } of final) {
      count(this.#report.statuses, status);
      if (status < 200) fault('what came is no response');
      if (status >= 500 && !FAULTS_ALLOWED.has(status)) fault(`${status}: ${body}`);
      const path = message.sound ? this.#truth?.pathOf(message.target) : null;
      if (!path) continue;
      const type = fields.get('content-type') ?? '';
      const coded = fields.has('content-encoding');
      const wrong = this.#truth?.fault(path, { method: message.method, status, type, body: coded ? null : body });
      if (wrong) fault(wrong);
    }
  }

  #learn({ target }: Message, { replies }: Outcome): void {
    for (const { fields } of replies) {
      const location = fields.get('location');
      const address = location?.replace(/^https?:\/\/[^/]+/, '');
      const known = address?.startsWith('/files/')
        ? this.#world.tus
        : address?.startsWith('/api/uploads/')
          ? this.#world.resumable
          : null;
      const old = known && address ? remember(known, address) : undefined;
      if (old !== undefined) this.#retired.push(old);
      const tag = fields.get('etag');
      if (tag !== undefined && target.startsWith('/api/files/')) remember(this.#world.tags, tag);
    }
  }

  async #askHealth(): Promise<void> {
    const since = performance.now();
    const reply = await fetch(`${this.#target.origin}/health`, { signal: AbortSignal.timeout(2 * HEALTH_MS) }).catch(
      () => null,
    );
    const ms = performance.now() - since;
    await reply?.arrayBuffer();
    this.#report.slowestHealthMs = Math.max(this.#report.slowestHealthMs, ms);
    if ((reply?.status !== 200 || ms > HEALTH_MS) && this.#report.faults.length < MAX_FAULTS) {
      this.#report.faults.push(`/health answered ${reply?.status ?? 'nothing'} after ${Math.round(ms)} ms`);
    }
  }

  async #afterwards(): Promise<void> {
    const { faults, memory, before } = this.#report;
    const end = this.#target.ended();
    if (end !== null) faults.push(`the server ended: ${end}`);
    faults.push(...this.#target.faults.slice(0, 20).map((line) => `the log says: ${line.slice(0, 1000)}`));
    if (end !== null) return;
    await this.#everyNameWorks();
    const settled = await this.#settled(before.sockets + SOCKETS);
    this.#report.after = { ...settled, resident: (await this.#target.collected()).resident };
    if (settled.sockets > before.sockets + SOCKETS) {
      faults.push(`${settled.sockets} connections are open, ${before.sockets} before`);
    }
    if (settled.descriptors > before.descriptors + DESCRIPTORS) {
      faults.push(`${settled.descriptors} descriptors are open, ${before.descriptors} before`);
    }
    const early = median(memory.slice(Math.floor(memory.length * 0.3), Math.floor(memory.length * 0.5)));
    const late = median(memory.slice(Math.floor(memory.length * 0.8)));
    if (late > early * GROWTH + GROWTH_BYTES) {
      faults.push(`memory grew from ${Math.round(early / 1e6)} MB to ${Math.round(late / 1e6)} MB`);
    }
  }

  /** No upload is stuck: whatever was begun under a name, it can be deleted, and the name takes a new file. */
  async #everyNameWorks(): Promise<void> {
    for (const token of this.#world.tokens) {
      const headers = { authorization: `Bearer ${token}` };
      for (const name of this.#world.names) {
        const encoded = encodeURIComponent(name);
        const url = `${this.#target.origin}/api/files`;
        const removed = await fetch(`${url}/${encoded}`, { method: 'DELETE', headers });
        const put = await fetch(`${url}/content/${encoded}`, { method: 'PUT', headers, body: 'hello' });
        const read = await fetch(`${url}/download/${encoded}`, { headers });
        const text = await read.text();
        await fetch(`${url}/${encoded}`, { method: 'DELETE', headers });
        if (![200, 404].includes(removed.status) || !put.ok || text !== 'hello') {
          this.#report.faults.push(`${name} is stuck: DELETE ${removed.status}, PUT ${put.status}, GET ${read.status}`);
        }
      }
    }
  }

  async #settled(sockets: number): Promise<Vitals> {
    let vitals = this.#target.vitals();
    for (let tries = 0; tries < 100 && vitals.sockets > sockets; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      vitals = this.#target.vitals();
    }
    return vitals;
  }
}

function ending({ host, tokens: [token] }: FuzzContext, target: string): Message {
  const fields = [
    ['Host', host],
    ['Authorization', `Bearer ${token}`],
    ['Tus-Resumable', '1.0.0'],
  ] as const;
  return { kind: 'ending', method: 'DELETE', target, bytes: raw('DELETE', target, fields), sound: true };
}

function shapeOf(random: Random): Shape {
  let at = random.int(
    1,
    SHAPES.reduce((sum, [, share]) => sum + share, 0),
  );
  for (const [shape, share] of SHAPES) {
    at -= share;
    if (at <= 0) return shape;
  }
  throw new Error('the shares do not add up');
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** @returns what there is no more room for */
function remember(known: string[], item: string): string | undefined {
  known.push(item);
  return known.length > MAX_ADDRESSES ? known.shift() : undefined;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
