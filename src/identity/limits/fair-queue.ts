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

/** Who requests the work. */
export interface Asker {
  /** A network as `networkOf` returns it, or another name. */
  from: string;
  /** The requester is authenticated, or the id signed in from this network before. */
  known: boolean;
}

/** The server itself. */
const SERVER: Asker = { from: 'server', known: true };

/** Prefix length of a wide network: providers assign a /24 or a /56 as easily as one address. */
const WIDE = { ipv4: 24, ipv6: 56 } as const;
const KNOWN_TURNS = 3;
/** Turns in a cycle; see the drawing above. */
const ALL_TURNS = 4;

export interface TurnLimits {
  atOnce: number;
  /** Maximum number of waiting jobs in each of the two lines. */
  waiting: number;
  /** Maximum number of them from one wide network. */
  waitingEach: number;
}

interface Waiting {
  wide: string;
  near: string;
  go: () => void;
  refuse: (reason: LadingError) => void;
}

/** Waiting jobs, in the order in which they are served. */
class Line {
  readonly #waiting: Waiting[] = [];
  /** Waiting network → the turn at which it was served last, or joined. */
  readonly #served = new Map<string, number>();
  #turn = 0;

  get length(): number {
    return this.#waiting.length;
  }

  add(job: Waiting): void {
    this.#waiting.push(job);
    for (const name of [job.wide, `${job.wide} ${job.near}`]) {
      // A new network joins behind the waiting ones; otherwise leaving and returning would jump the queue.
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

  /** Removes and returns the youngest job of the busiest wide network, if that has more than `least` jobs. */
  evict(least: number): Waiting | undefined {
    const counts = new Map<string, number>();
    for (const { wide } of this.#waiting) counts.set(wide, (counts.get(wide) ?? 0) + 1);
    const [most] = [...counts].sort(([, a], [, b]) => b - a);
    if (most === undefined || most[1] <= least) return undefined;
    const youngest = this.#waiting.findLast(({ wide }) => wide === most[0]);
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

export class FairQueue {
  readonly #limits: TurnLimits;
  readonly #known = new Line();
  readonly #others = new Line();
  #running = 0;
  #turn = 0;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /**
   * Runs the job when its turn comes.
   * @param asker who requests it; by default the server itself
   * @throws LadingError `overloaded` when too many jobs wait, from this network or in total
   */
  async run<T>(job: () => Promise<T>, asker: Asker = SERVER): Promise<T> {
    if (this.#running < this.#limits.atOnce) this.#running += 1;
    else await this.#wait(asker);
    try {
      return await job();
    } finally {
      // The slot passes to the next job directly, so that no other job can take it.
      const next = this.#next();
      if (next) next.go();
      else this.#running -= 1;
    }
  }

  #wait({ from, known }: Asker): Promise<void> {
    const line = known ? this.#known : this.#others;
    const wide = wideOf(from);
    const mine = line.count(wide);
    if (mine >= this.#limits.waitingEach) throw tooMany();
    if (line.length >= this.#limits.waiting) {
      // Make room at the expense of the busiest network.
      const other = line.evict(mine + 1);
      if (other === undefined) throw tooMany();
      other.refuse(tooMany());
    }
    return new Promise((go, refuse) => line.add({ wide, near: from, go, refuse }));
  }

  #next(): Waiting | undefined {
    this.#turn = (this.#turn + 1) % ALL_TURNS;
    const lines = this.#turn < KNOWN_TURNS ? [this.#known, this.#others] : [this.#others, this.#known];
    return lines.find(({ length }) => length > 0)?.next();
  }
}

/** A requester who is known only by their address. */
export function strangerAt(address: string): Asker {
  return { from: networkOf(address), known: false };
}

/** Wide network of an address: 192.0.2.0/24 for `192.0.2.7`, 2001:db8::/56 for `2001:db8:0:7::/64`. Other names are unchanged. */
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
