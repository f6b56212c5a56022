/** Runs the raw-socket fuzzer, and checks the server during and after the run. */

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
  /** The run ends after this time, whatever number of requests was sent. */
  seconds: number;
}

export interface Report {
  sent: number;
  seconds: number;
  statuses: Map<number, number>;
  kinds: Map<string, number>;
  /** The number of messages after which the server closed the connection without a reply. */
  unanswered: number;
  before: Vitals;
  after: Vitals;
  /** Samples of the resident bytes. */
  memory: number[];
  slowestHealthMs: number;
  /** Descriptions of faults, with the messages that caused them. */
  faults: string[];
}

/** Allowed statuses from 500; 501 is for an unknown transfer coding (RFC 9112 §6.1). */
const FAULTS_ALLOWED = new Set([501, 503, 507]);
const MAX_FAULTS = 50;
const MAX_ADDRESSES = 200;
const MEMORY_SAMPLES = 200;
/** Generous limits, which detect hangs and leaks rather than slowness. */
const HEALTH_MS = 5_000;
const GROWTH_BYTES = 96 * 1024 ** 2;
const GROWTH = 1.3;
const SOCKETS = 20;
/** The maximum number of files that the server keeps open. */
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
  readonly #context: FuzzContext;
  #checker: OpenApiChecker | null = null;
  #next = 0;
  /** Addresses of uploads that no message uses any more. They are deleted, to limit the number of open uploads. */
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
    this.#context = {
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
    const deadline = since + this.#options.seconds * 1000;
    const every = Math.max(1, Math.floor(this.#options.requests / MEMORY_SAMPLES));
    const health = setInterval(() => void this.#checkHealth(), 500);
    const shown = setInterval(() => {
      report.seconds = (performance.now() - since) / 1000;
      progress(report);
    }, 10_000);
    const work = async (): Promise<void> => {
      const connection = new Connection(this.#target.port);
      while (this.#next < this.#options.requests && performance.now() < deadline && report.faults.length < MAX_FAULTS) {
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
    const created = await fetch(`${origin}/api/clients`, { method: 'POST', headers, body: '{"role":"client"}' });
    const { client_id: id, client_secret: secret } = (await created.json()) as Record<string, string>;
    const client = await this.#target.token(id ?? '', secret ?? '');
    const operations = (await operationsOf(origin))
      .filter(({ name }) => !isExcluded(name))
      .map(({ method, path, parameters, body }): Described => {
        return [method, path, parameters.map(({ name }) => name), Object.keys((body?.properties ?? {}) as object)];
      });
    Object.assign(this.#context, { tokens: [client, admin], operations });
    this.#checker = new OpenApiChecker((await (await fetch(`${origin}/openapi.json`)).json()) as object);
  }

  /** Sends one message, which depends on the seed, its number and the addresses in earlier replies. */
  async #one(connection: Connection, index: number): Promise<void> {
    const random = randomFrom(Math.imul(this.#options.seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
    const retired = this.#retired.shift();
    const message = retired === undefined ? shapeOf(random)(random, this.#context) : ending(this.#context, retired);
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
    if (end === 'silent') fault('neither a reply nor the end of the connection');
    const final = replies.filter(({ status }) => status >= 200 || status === 0);
    if (final.length === 0) this.#report.unanswered += 1;
    for (const { status, fields, body } of final) {
      count(this.#report.statuses, status);
      if (status < 200) fault('the reply is not a response');
      if (status >= 500 && !FAULTS_ALLOWED.has(status)) fault(`${status}: ${body}`);
      const path = message.sound ? this.#checker?.pathOf(message.target) : null;
      if (!path) continue;
      const type = fields.get('content-type') ?? '';
      const coded = fields.has('content-encoding');
      const wrong = this.#checker?.fault(path, { method: message.method, status, type, body: coded ? null : body });
      if (wrong) fault(wrong);
    }
  }

  #learn({ target }: Message, { replies }: Outcome): void {
    for (const { fields } of replies) {
      const location = fields.get('location');
      const address = location?.replace(/^https?:\/\/[^/]+/, '');
      const known = address?.startsWith('/files/')
        ? this.#context.tus
        : address?.startsWith('/api/uploads/')
          ? this.#context.resumable
          : null;
      const old = known && address ? remember(known, address) : undefined;
      if (old !== undefined) this.#retired.push(old);
      const tag = fields.get('etag');
      if (tag !== undefined && target.startsWith('/api/files/')) remember(this.#context.tags, tag);
    }
  }

  async #checkHealth(): Promise<void> {
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
    await this.#checkNames();
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

  /** Checks that no upload is stuck: each name can be deleted and used for a new file. */
  async #checkNames(): Promise<void> {
    for (const token of this.#context.tokens) {
      const headers = { authorization: `Bearer ${token}` };
      for (const name of this.#context.names) {
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
    for (let attempt = 0; attempt < 100 && vitals.sockets > sockets; attempt += 1) {
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

/** Appends an item. @returns the oldest item if the list is full */
function remember(known: string[], item: string): string | undefined {
  known.push(item);
  return known.length > MAX_ADDRESSES ? known.shift() : undefined;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
