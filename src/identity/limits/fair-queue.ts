/**
 * Runs deliberately slow work (password hashing) fairly: a few jobs run at a time, the others wait, and networks take turns. A client
 * with many addresses or many requests delays others by at most one job for each waiting network.
 *
 *     known networks (the id signed in from there before) → 3 of 4 turns while both kinds wait
 *     other networks                                      → the remaining turns
 *     in each: wide networks in turn → in each: addresses in turn → in each: first come, first served
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LadingError } from '../../errors.ts';
import { networkOf } from '../../protocol/ip.ts';

/** The origin of a job. */
export interface Requester {
  /** A network as `networkOf` returns it, or a name, such as the id of a client. */
  from: string;
  /** The requester is authenticated, or the id signed in from this network before. */
  known: boolean;
}

/** The server itself. */
const SERVER: Requester = { from: 'server', known: true };

/** Prefix length of a wide network. Providers assign a /24 or a /56 as easily as one address. */
const WIDE = { ipv4: 24, ipv6: 56 } as const;
const TURNS_OF_KNOWN = 3;
/** Turns in a cycle. Known networks have the first `TURNS_OF_KNOWN` of them. */
const TURNS_PER_CYCLE = 4;

/** Limits of a queue. */
export interface QueueLimits {
  /** Jobs that run at a time. */
  concurrency: number;
  /** Maximum number of waiting jobs in each of the two lines. */
  waiting: number;
  /** Maximum number of waiting jobs from one wide network. */
  waitingPerNetwork: number;
}

interface Waiting {
  wide: string;
  near: string;
  start: () => void;
  refuse: (reason: LadingError) => void;
}

/** Waiting jobs, in the order in which they are served. */
class Line {
  readonly #waiting: Waiting[] = [];
  /** Waiting network → the turn in which it was last served, or joined. */
  readonly #served = new Map<string, number>();
  #turn = 0;

  get length(): number {
    return this.#waiting.length;
  }

  add(job: Waiting): void {
    this.#waiting.push(job);
    for (const name of [job.wide, `${job.wide} ${job.near}`]) {
      // A new network joins behind the waiting ones. Otherwise a network could jump the queue by leaving and returning.
      if (!this.#served.has(name)) this.#served.set(name, this.#turn);
    }
    this.#turn += 1;
  }

  /** Removes and returns the job whose network has waited longest. */
  next(): Waiting | undefined {
    let best: Waiting | undefined;
    for (const job of this.#waiting) if (best === undefined || this.#isBefore(job, best)) best = job;
    if (best === undefined) return undefined;
    this.#turn += 1;
    this.#served.set(best.wide, this.#turn);
    this.#served.set(`${best.wide} ${best.near}`, this.#turn);
    this.#drop(best);
    return best;
  }

  count(wide: string): number {
    return this.#waiting.filter((job) => job.wide === wide).length;
  }

  /** Removes and returns the youngest job of the busiest wide network, if it has more than `min` jobs. */
  evict(min: number): Waiting | undefined {
    const counts = new Map<string, number>();
    for (const { wide } of this.#waiting) counts.set(wide, (counts.get(wide) ?? 0) + 1);
    const [busiest] = [...counts].sort(([, a], [, b]) => b - a);
    if (busiest === undefined || busiest[1] <= min) return undefined;
    const youngest = this.#waiting.findLast(({ wide }) => wide === busiest[0]);
    if (youngest !== undefined) this.#drop(youngest);
    return youngest;
  }

  #isBefore(a: Waiting, b: Waiting): boolean {
    const at = (name: string): number => this.#served.get(name) ?? 0;
    if (a.wide !== b.wide) return at(a.wide) < at(b.wide);
    return a.near !== b.near && at(`${a.wide} ${a.near}`) < at(`${b.wide} ${b.near}`);
  }

  #drop(job: Waiting): void {
    this.#waiting.splice(this.#waiting.indexOf(job), 1);
    if (!this.#waiting.some(({ wide, near }) => wide === job.wide && near === job.near)) {
      this.#served.delete(`${job.wide} ${job.near}`);
    }
    if (!this.#waiting.some(({ wide }) => wide === job.wide)) this.#served.delete(job.wide);
  }
}

/** A queue of slow jobs with fair turns; see the drawing above. */
export class FairQueue {
  readonly #limits: QueueLimits;
  readonly #known = new Line();
  readonly #others = new Line();
  #running = 0;
  #turn = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /**
   * Runs a job in its turn.
   * @param requester the server itself by default
   * @throws LadingError `overloaded` when too many jobs wait, from this network or in total
   */
  async run<T>(job: () => Promise<T>, requester: Requester = SERVER): Promise<T> {
    if (this.#running < this.#limits.concurrency) this.#running += 1;
    else await this.#wait(requester);
    try {
      return await job();
    } finally {
      // The slot passes to the next job directly, so that no other job can take it.
      const next = this.#next();
      if (next) next.start();
      else this.#running -= 1;
    }
  }

  #wait({ from, known }: Requester): Promise<void> {
    const line = known ? this.#known : this.#others;
    const wide = wideOf(from);
    const mine = line.count(wide);
    if (mine >= this.#limits.waitingPerNetwork) throw tooMany();
    if (line.length >= this.#limits.waiting) {
      // Make room at the expense of the busiest network.
      const evicted = line.evict(mine + 1);
      if (evicted === undefined) throw tooMany();
      evicted.refuse(tooMany());
    }
    return new Promise((start, refuse) => line.add({ wide, near: from, start, refuse }));
  }

  #next(): Waiting | undefined {
    this.#turn = (this.#turn + 1) % TURNS_PER_CYCLE;
    const lines = this.#turn < TURNS_OF_KNOWN ? [this.#known, this.#others] : [this.#others, this.#known];
    return lines.find(({ length }) => length > 0)?.next();
  }
}

/** A requester about whom only the address is known. */
export function unknownRequester(address: string): Requester {
  return { from: networkOf(address), known: false };
}

/** The wide network of a network: 192.0.2.0/24 for `192.0.2.7`, 2001:db8::/56 for `2001:db8:0:7::/64`. Names stay as they are. */
function wideOf(from: string): string {
  const [address = ''] = from.split('/');
  if (isIP(address) === 0) return from;
  const parsed = ipaddr.parse(address);
  const bytes = parsed.toByteArray().slice(0, WIDE[parsed.kind()] / 8);
  return `${parsed.kind()} ${bytes.join('.')}`;
}

function tooMany(): LadingError {
  return new LadingError('overloaded', 'Too many concurrent sign-ins; try again shortly.', { retry_after: 5 });
}
