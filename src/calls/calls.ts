/**
 * Codes that are spoken into a telephone and typed back: who hears it has the telephone.
 *
 *     request → document (durable, code sealed) → call → verify: three tries, once
 *
 * A document without its code remains for a day, for the limits count calls.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { isLongPast } from '../clock/clock.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Collection } from '../contracts/collection.ts';
import { LadingError } from '../errors.ts';
import { DocumentCache } from '../identity/state/document-cache.ts';
import type { SealedBox } from '../identity/state/sealed-box.ts';
import type { CallDocument } from '../records/calls.ts';
import type { Voice } from './voice.ts';

export const CODE_SECONDS = 300;
export const CODE_DIGITS = 6;
const MAX_TRIES = 3;
/** Of one code, replays included. */
const MAX_CALLS = 4;
const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
/** At one time. */
const MAX_SPEAKING = 4;
const MAX_WAITING = 100;
const PURPOSE = 'code of a call';

export interface CallsDoors {
  documents: Collection<CallDocument>;
  vault: SealedBox;
  clock: Clock;
  /** Null: no calls are set up. */
  voice: Voice | null;
  warn(message: string, details: object): void;
}

/** How many calls there may be; 0: any number. */
export interface CallLimits {
  phoneHour: number;
  callerHour: number;
  day: number;
}

export class Calls {
  readonly #doors: CallsDoors;
  readonly #limits: CallLimits;
  readonly #kept: DocumentCache<CallDocument>;
  /** The newest of each caller and number. */
  readonly #newest = new Map<string, string>();
  readonly #waiting: CallDocument[] = [];
  readonly #speaking = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  private constructor(doors: CallsDoors, limits: CallLimits, kept: DocumentCache<CallDocument>) {
    this.#doors = doors;
    this.#limits = limits;
    this.#kept = kept;
    for (const call of [...kept.values()].sort((a, b) => a.createdAt - b.createdAt))
      this.#newest.set(keyOf(call), call.id);
  }

  static async open(doors: CallsDoors, limits: CallLimits): Promise<Calls> {
    const calls = new Calls(doors, limits, await DocumentCache.open(doors.documents, ({ id }) => id));
    // Nobody speaks what was on its way when the server ended; only as failed can it be asked for again.
    const now = doors.clock.steady();
    for (const call of [...calls.#kept.values()]) {
      const broken = call.speech === 'queued' || call.speech === 'calling';
      // Calls of before this start, whatever the date was then: the limits must not count them for years.
      const spokenAt = call.spokenAt.map((at) => Math.min(at, now));
      if (broken || spokenAt.some((at, i) => at !== call.spokenAt[i])) {
        await calls
          .#change(call, broken ? { speech: 'failed', spokenAt } : { spokenAt })
          .catch((error: unknown) =>
            doors.warn('what became of a call could not be stored', { session: call.id, error }),
          );
      }
    }
    return calls;
  }

  /** Proofs that are good, whoever gave them: read at the start. */
  *proofs(): Generator<NonNullable<CallDocument['proof']> & { phone: string }> {
    for (const { proof, phone } of this.#kept.values()) if (proof) yield { ...proof, phone };
  }

  /**
   * Makes a code and has it spoken; the one before it for this number is worth nothing from now on. Durable when it resolves.
   * @param caller key of whoever asks
   * @throws LadingError `forbidden` when no calls are set up, `rate_limited`
   */
  async request(caller: string, phone: string, message: string | null): Promise<CallDocument> {
    this.#requireVoice();
    this.#admit(caller, phone);
    const now = this.#doors.clock.steady();
    const code = String(randomInt(10 ** CODE_DIGITS)).padStart(CODE_DIGITS, '0');
    const id = randomBytes(16).toString('hex');
    const call: CallDocument = {
      id,
      caller,
      phone,
      sealed: this.#doors.vault.seal(code, purposeOf(id)),
      message,
      state: 'pending',
      tries: 0,
      spokenAt: [now],
      speech: 'queued',
      createdAt: now,
      expiresAt: now + CODE_SECONDS * 1000,
      proof: null,
    };
    const before = this.#pending(caller, phone);
    // In one step with the check, so that of many requests at one time none slips through the limits.
    this.#newest.set(keyOf(call), id);
    try {
      await this.#kept.create(call);
    } catch (error) {
      // The one before is still good, if nobody asked for another one meanwhile.
      if (before && this.#newest.get(keyOf(call)) === id) this.#newest.set(keyOf(call), before.id);
      throw error;
    }
    if (before) await this.#change(before, { state: 'replaced', sealed: null });
    this.#speakLater(call);
    return call;
  }

  /** Speaks the same code again. @throws LadingError `not_found`, `rate_limited`, `forbidden` */
  async replay(caller: string, phone: string): Promise<CallDocument> {
    this.#requireVoice();
    const call = this.#mustBePending(caller, phone);
    if (call.speech === 'queued' || call.speech === 'calling') return call;
    if (call.spokenAt.length >= MAX_CALLS)
      throw tooMany('This code was spoken often enough. Ask for a new one', HOUR_MS);
    this.#admit(caller, phone);
    const spokenAt = [...call.spokenAt, this.#doors.clock.steady()];
    const again = await this.#change(call, { spokenAt, speech: 'queued' });
    this.#speakLater(again);
    return again;
  }

  /**
   * True when it is the code; then it is spent, and `proof` is kept with it. Each try counts before it is looked at, durably.
   * @throws LadingError `not_found` when there is none, none any more, or it was tried too often
   */
  async verify(
    caller: string,
    phone: string,
    code: string,
    proof: CallDocument['proof'],
  ): Promise<{ right: boolean; triesLeft: number }> {
    const call = this.#mustBePending(caller, phone);
    const tries = call.tries + 1;
    const right = this.#isCode(call, code);
    if (right) {
      await this.#change(call, { tries, state: 'verified', sealed: null, proof });
      return { right, triesLeft: 0 };
    }
    const spent = tries >= MAX_TRIES;
    await this.#change(call, spent ? { tries, state: 'failed', sealed: null } : { tries });
    return { right, triesLeft: MAX_TRIES - tries };
  }

  /** The newest of this caller and number. @throws LadingError `not_found` */
  status(caller: string, phone: string): CallDocument {
    const call = this.#kept.get(this.#newest.get(keyOf({ caller, phone })) ?? '');
    if (!call) throw nothing();
    return this.#current(call);
  }

  triesLeft({ state, tries }: CallDocument): number {
    return state === 'pending' ? MAX_TRIES - tries : 0;
  }

  /** What a voice provider tells of a call; of one that is unknown nothing comes. */
  async told(id: string, speech: 'spoken' | 'failed'): Promise<void> {
    const call = this.#kept.get(id);
    if (call && call.speech !== speech) await this.#change(call, { speech });
  }

  /** Forgets codes that lapsed, and calls that no limit counts any more and that prove nothing. */
  async sweep(): Promise<void> {
    const { clock } = this.#doors;
    const now = clock.steady();
    for (const call of [...this.#kept.values()]) {
      const last = call.spokenAt.at(-1) ?? call.createdAt;
      if ([last, call.proof?.until ?? 0, call.expiresAt].every((date) => isLongPast(clock, date))) {
        await this.#kept.remove(call.id);
        if (this.#newest.get(keyOf(call)) === call.id) this.#newest.delete(keyOf(call));
      } else if (call.state === 'pending' && call.expiresAt <= now) {
        await this.#change(call, { state: 'expired', sealed: null });
      }
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the server is stopping'));
    this.#waiting.length = 0;
    await Promise.all(this.#speaking);
    await this.#doors.voice?.close();
    await this.#kept.close();
  }

  // ---------------------------------------------------------------- speaking

  #speakLater(call: CallDocument): void {
    this.#waiting.push(call);
    this.#speakNext();
  }

  #speakNext(): void {
    while (this.#speaking.size < MAX_SPEAKING) {
      const call = this.#waiting.shift();
      if (!call) return;
      const speaking = this.#speak(call.id).finally(() => {
        this.#speaking.delete(speaking);
        this.#speakNext();
      });
      this.#speaking.add(speaking);
    }
  }

  async #speak(id: string): Promise<void> {
    const { voice, vault, warn } = this.#doors;
    const call = this.#kept.get(id);
    const code = call?.sealed ? vault.open(call.sealed, purposeOf(id)) : null;
    if (!call || code === null || !voice || this.#stop.signal.aborted) return;
    let speech: CallDocument['speech'] = 'spoken';
    try {
      await this.#change(call, { speech: 'calling' });
      await voice.speak({ id, to: call.phone, message: call.message, code }, this.#stop.signal);
    } catch (error) {
      speech = 'failed';
      warn('a call failed', { session: id, error: error instanceof Error ? error.message : 'unknown' });
    }
    const now = this.#kept.get(id);
    // The provider may have told already how it ended.
    if (now?.speech !== 'calling') return;
    await this.#change(now, { speech }).catch((error: unknown) =>
      warn('how a call ended could not be stored', { session: id, error }),
    );
  }

  // ---------------------------------------------------------------- limits

  /** @throws LadingError `rate_limited`, `forbidden` */
  #admit(caller: string, phone: string): void {
    const { clock } = this.#doors;
    const { phoneHour, callerHour, day } = this.#limits;
    /** How long ago, to whom, for whom. */
    const times: [number, string, string][] = [];
    for (const { spokenAt, phone: to, caller: by } of this.#kept.values()) {
      for (const at of spokenAt) times.push([clock.passed(at), to, by]);
    }
    const over = (
      most: number,
      windowMs: number,
      counts: (phone: string, caller: string) => boolean,
    ): number | null => {
      if (most === 0) return null;
      const ages = times.filter(([age, to, by]) => age < windowMs && counts(to, by)).map(([age]) => age);
      // When so many have left the window that one more fits.
      return ages.length < most ? null : windowMs - (ages.sort((a, b) => b - a)[ages.length - most] ?? 0);
    };
    const toPhone = over(phoneHour, HOUR_MS, (to) => to === phone);
    if (toPhone !== null) throw tooMany('This number was called too often', toPhone);
    const byCaller = over(callerHour, HOUR_MS, (_, by) => by === caller);
    if (byCaller !== null) throw tooMany('You asked for too many calls', byCaller);
    const today = over(day, DAY_MS, () => true);
    if (today !== null) throw tooMany('This server has placed all calls of a day', today);
    if (this.#waiting.length >= MAX_WAITING) throw tooMany('Too many calls wait to be placed', 10_000);
  }

  #requireVoice(): void {
    if (this.#doors.voice === null) {
      throw new LadingError('forbidden', 'No calls are set up on this server: LADING_VOICE says how they are placed.');
    }
  }

  // ---------------------------------------------------------------- documents

  #pending(caller: string, phone: string): CallDocument | null {
    const call = this.#kept.get(this.#newest.get(keyOf({ caller, phone })) ?? '');
    return call && this.#current(call).state === 'pending' ? call : null;
  }

  /** @throws LadingError `not_found` */
  #mustBePending(caller: string, phone: string): CallDocument {
    const call = this.#pending(caller, phone);
    if (!call) throw nothing();
    return call;
  }

  #current(call: CallDocument): CallDocument {
    const lapsed = call.state === 'pending' && call.expiresAt <= this.#doors.clock.steady();
    return lapsed ? { ...call, state: 'expired' } : call;
  }

  #isCode({ id, sealed }: CallDocument, given: string): boolean {
    const code = Buffer.from((sealed && this.#doors.vault.open(sealed, purposeOf(id))) ?? '');
    const typed = Buffer.from(given);
    return code.length > 0 && typed.length === code.length && timingSafeEqual(typed, code);
  }

  /** Seen at once, so that of tries at one time each counts; durable when it resolves. */
  async #change(call: CallDocument, change: Partial<CallDocument>): Promise<CallDocument> {
    const before = this.#kept.get(call.id) ?? call;
    const after = Object.freeze({ ...before, ...change });
    await this.#kept.replace(before, after);
    return after;
  }
}

function keyOf({ caller, phone }: Pick<CallDocument, 'caller' | 'phone'>): string {
  return `${caller} ${phone}`;
}

function purposeOf(id: string): string {
  return `${PURPOSE} ${id}`;
}

function nothing(): LadingError {
  return new LadingError('not_found', 'There is no code for this number, or none any more. Ask for a new one.');
}

function tooMany(what: string, waitMs: number): LadingError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new LadingError('rate_limited', `${what}; try again in ${seconds} seconds.`, { retry_after: seconds });
}
