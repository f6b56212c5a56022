/**
 * Work that is slow on purpose, shared fairly: only a few jobs run at one time, the others wait, and networks take turns. Whoever has
 * many addresses or sends many requests makes nobody else wait for more than one job of each network that waits.
 *
 *     networks that are known to whom they ask for → 3 of 4 turns while both wait
 *     the others                                   → the rest
 *     in each: wide networks in turn → in each: addresses in turn → in each: who came first
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { LadingError } from '../../errors.ts';
import { networkOf } from '../../protocol/ip.ts';

/** For whom work is done. */
export interface Asker {
  /** A network as `networkOf` gives it, or another name of who asks. */
  from: string;
  /** They showed who they are, or the id they ask for signed in from there before. */
  known: boolean;
}

/** The server itself. */
const SERVER: Asker = { from: 'server', known: true };

/** Bits of the address that one site has to choose from: a provider hands out a /24 and a /56 as easily as one address. */
const WIDE = { ipv4: 24, ipv6: 56 } as const;
const KNOWN_TURNS = 3;
/** Out of 4 turns; see the picture above. */
const ALL_TURNS = 4;

export interface TurnLimits {
  atOnce: number;
  /** Jobs that wait, of the known and of the others each. */
  waiting: number;
  /** Jobs of one wide network among them. */
  waitingEach: number;
}

interface Waiting {
  wide: string;
  near: string;
  go: () => void;
  refuse: (reason: LadingError) => void;
}

/** Those who wait, in the order in which they are served. */
class Line {
  readonly #waiting: Waiting[] = [];
  /** Names of networks that wait → the turn at which one of them was served last, or at which they came. */
  readonly #served = new Map<string, number>();
  #turn = 0;

  get length(): number {
    return this.#waiting.length;
  }

  add(job: Waiting): void {
    this.#waiting.push(job);
    for (const name of [job.wide, `${job.wide} ${job.near}`]) {
      // A network that comes goes behind those that wait, or leaving and coming again would be the way to the front.
      if (!this.#served.has(name)) this.#served.set(name, this.#turn);
    }
    this.#turn += 1;
  }

  /** The one whose network waits longest for its turn. */
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

  /** The youngest of the wide network that has most here, if it has more than this many. */
  superfluous(least: number): Waiting | undefined {
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
   * Runs the job when its turn has come.
   * @param asker the server itself if it is not given
   * @throws LadingError `overloaded` when too many wait, of the one network or in all
   */
  async run<T>(job: () => Promise<T>, asker: Asker = SERVER): Promise<T> {
    if (this.#running < this.#limits.atOnce) this.#running += 1;
    else await this.#wait(asker);
    try {
      return await job();
    } finally {
      // The place is handed on, never free in between.
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
      // Room is made where most is taken.
      const other = line.superfluous(mine + 1);
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

/** Who asks, by where they ask from. */
export function strangerAt(address: string): Asker {
  return { from: networkOf(address), known: false };
}

/** `192.0.2.7` is one of 192.0.2.0/24, `2001:db8:0:7::/64` of 2001:db8::/56; what is no address is itself. */
function wideOf(from: string): string {
  const [address = ''] = from.split('/');
  if (isIP(address) === 0) return from;
  const parsed = ipaddr.parse(address);
  const bytes = parsed.toByteArray().slice(0, WIDE[parsed.kind()] / 8);
  return `${parsed.kind()} ${bytes.join('.')}`;
}

function tooMany(): LadingError {
  return new LadingError('overloaded', 'Too many sign-ins at one time; try again shortly.', { retry_after: 5 });
}
