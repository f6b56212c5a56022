/**
 * Codes that are spoken over the telephone and typed back. A correct code proves that the user controls the telephone.
 *
 *     request → document (durable, code sealed) → call → verify: three tries, once
 *
 * The document stays for a day without its code, because the limits count calls.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { isLongPast } from '../clock/clock.ts';
import type { Clock } from '../contracts/clock.ts';
import type { Collection } from '../contracts/collection.ts';
import { LadingError } from '../errors.ts';
import { DocumentCache } from '../identity/state/document-cache.ts';
import type { SealedBox } from '../identity/state/sealed-box.ts';
import type { CallDocument } from '../records/calls.ts';
import { type CallLimits, checkCallLimits, tooManyCalls } from './call-limits.ts';
import { Speaker } from './speaker.ts';
import type { Voice } from './voice.ts';

export type { CallLimits } from './call-limits.ts';

export const CODE_SECONDS = 300;
export const CODE_DIGITS = 6;
const MAX_TRIES = 3;
/** Calls for one code, including repeats. */
const MAX_CALLS = 4;
/** Suggested wait when a code may not be spoken again. */
const HOUR_MS = 3600_000;
const PURPOSE = 'code of a call';

export interface CallsDeps {
  documents: Collection<CallDocument>;
  vault: SealedBox;
  clock: Clock;
  /** Null: calls are disabled. */
  voice: Voice | null;
  warn(message: string, details: object): void;
}

export class Calls {
  readonly #deps: CallsDeps;
  readonly #limits: CallLimits;
  readonly #cache: DocumentCache<CallDocument>;
  /** Caller and number → id of the newest call. */
  readonly #newest = new Map<string, string>();
  readonly #speaker: Speaker;

  private constructor(deps: CallsDeps, limits: CallLimits, cache: DocumentCache<CallDocument>) {
    this.#deps = deps;
    this.#limits = limits;
    this.#cache = cache;
    this.#speaker = new Speaker({
      ...deps,
      find: (id) => cache.get(id) ?? null,
      codeOf: (call) => this.#codeOf(call),
      change: (call, change) => this.#change(call, change),
    });
    for (const call of [...cache.values()].sort((a, b) => a.createdAt - b.createdAt))
      this.#newest.set(keyOf(call), call.id);
  }

  /** Reads the stored calls. Calls that the last stop interrupted become `failed`. */
  static async open(deps: CallsDeps, limits: CallLimits): Promise<Calls> {
    const calls = new Calls(deps, limits, await DocumentCache.open(deps.documents, ({ id }) => id));
    // Calls that were being placed when the server stopped are not placed again. Once they are `failed`, the caller can repeat them.
    const now = deps.clock.steady();
    for (const call of [...calls.#cache.values()]) {
      const interrupted = call.speech === 'queued' || call.speech === 'calling';
      // The clock may have been wrong: a call from the future would count against the limits for years.
      const spokenAt = call.spokenAt.map((at) => Math.min(at, now));
      if (interrupted || spokenAt.some((at, i) => at !== call.spokenAt[i])) {
        await calls
          .#change(call, interrupted ? { speech: 'failed', spokenAt } : { spokenAt })
          .catch((error: unknown) => deps.warn('the state of a call could not be stored', { session: call.id, error }));
      }
    }
    return calls;
  }

  /** Every stored proof, with the telephone number that it is about. Read at the start. */
  *proofs(): Generator<NonNullable<CallDocument['proof']> & { phone: string }> {
    for (const { proof, phone } of this.#cache.values()) if (proof) yield { ...proof, phone };
  }

  /**
   * Creates a code and queues its call. The previous code for this number becomes invalid. Durable when it resolves.
   * @param caller owner key of the principal
   * @throws LadingError `forbidden` when calls are disabled, `rate_limited`
   */
  async request(caller: string, phone: string, message: string | null): Promise<CallDocument> {
    this.#requireVoice();
    this.#admit(caller, phone);
    const now = this.#deps.clock.steady();
    const code = String(randomInt(10 ** CODE_DIGITS)).padStart(CODE_DIGITS, '0');
    const id = randomBytes(16).toString('hex');
    const call: CallDocument = {
      id,
      caller,
      phone,
      sealed: this.#deps.vault.seal(code, purposeOf(id)),
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
    // In the same step as the check: concurrent requests must not exceed the limits.
    this.#newest.set(keyOf(call), id);
    try {
      await this.#cache.create(call);
    } catch (error) {
      // The previous code stays valid, unless another one was requested meanwhile.
      if (before && this.#newest.get(keyOf(call)) === id) this.#newest.set(keyOf(call), before.id);
      throw error;
    }
    if (before) await this.#change(before, { state: 'replaced', sealed: null });
    this.#speaker.add(call);
    return call;
  }

  /** Queues another call with the same code. @throws LadingError `not_found`, `rate_limited`, `forbidden` */
  async replay(caller: string, phone: string): Promise<CallDocument> {
    this.#requireVoice();
    const call = this.#mustBePending(caller, phone);
    if (call.speech === 'queued' || call.speech === 'calling') return call;
    if (call.spokenAt.length >= MAX_CALLS)
      throw tooManyCalls('This code was spoken the maximum number of times. Request a new code', HOUR_MS);
    this.#admit(caller, phone);
    const spokenAt = [...call.spokenAt, this.#deps.clock.steady()];
    const again = await this.#change(call, { spokenAt, speech: 'queued' });
    this.#speaker.add(again);
    return again;
  }

  /**
   * Checks a code. A correct code is used up, and `proof` is stored with it. Each try is stored as used before its result is returned.
   * @throws LadingError `not_found` when there is no valid code, or too many tries failed
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

  /** The newest call of this caller to this number. @throws LadingError `not_found` */
  status(caller: string, phone: string): CallDocument {
    const call = this.#cache.get(this.#newest.get(keyOf({ caller, phone })) ?? '');
    if (!call) throw noCode();
    return this.#current(call);
  }

  triesLeft({ state, tries }: CallDocument): number {
    return state === 'pending' ? MAX_TRIES - tries : 0;
  }

  /** Stores the outcome that the voice provider reported. Unknown calls are ignored. */
  async reportSpeech(id: string, speech: 'spoken' | 'failed'): Promise<void> {
    const call = this.#cache.get(id);
    if (call && call.speech !== speech) await this.#change(call, { speech });
  }

  /** Expires old codes, and removes calls that count toward no limit and prove nothing. */
  async sweep(): Promise<void> {
    const { clock } = this.#deps;
    const now = clock.steady();
    for (const call of [...this.#cache.values()]) {
      const last = call.spokenAt.at(-1) ?? call.createdAt;
      if ([last, call.proof?.until ?? 0, call.expiresAt].every((date) => isLongPast(clock, date))) {
        await this.#cache.remove(call.id);
        if (this.#newest.get(keyOf(call)) === call.id) this.#newest.delete(keyOf(call));
      } else if (call.state === 'pending' && call.expiresAt <= now) {
        await this.#change(call, { state: 'expired', sealed: null });
      }
    }
  }

  async close(): Promise<void> {
    await this.#speaker.close();
    await this.#cache.close();
  }

  /** @throws LadingError `rate_limited` */
  #admit(caller: string, phone: string): void {
    checkCallLimits(this.#cache.values(), { caller, phone }, this.#limits, this.#deps.clock);
    if (this.#speaker.isFull) throw tooManyCalls('Too many calls are waiting to be placed', 10_000);
  }

  #requireVoice(): void {
    if (this.#deps.voice === null) {
      throw new LadingError('forbidden', 'Calls are disabled on this server. The setting LADING_VOICE enables them.');
    }
  }

  #pending(caller: string, phone: string): CallDocument | null {
    const call = this.#cache.get(this.#newest.get(keyOf({ caller, phone })) ?? '');
    return call && this.#current(call).state === 'pending' ? call : null;
  }

  /** @throws LadingError `not_found` */
  #mustBePending(caller: string, phone: string): CallDocument {
    const call = this.#pending(caller, phone);
    if (!call) throw noCode();
    return call;
  }

  #current(call: CallDocument): CallDocument {
    const hasExpired = call.state === 'pending' && call.expiresAt <= this.#deps.clock.steady();
    return hasExpired ? { ...call, state: 'expired' } : call;
  }

  #isCode(call: CallDocument, given: string): boolean {
    const code = Buffer.from(this.#codeOf(call) ?? '');
    const typed = Buffer.from(given);
    return code.length > 0 && typed.length === code.length && timingSafeEqual(typed, code);
  }

  #codeOf({ id, sealed }: CallDocument): string | null {
    return sealed && this.#deps.vault.open(sealed, purposeOf(id));
  }

  /** Visible at once, so that concurrent tries all count. Durable when it resolves. */
  async #change(call: CallDocument, change: Partial<CallDocument>): Promise<CallDocument> {
    const before = this.#cache.get(call.id) ?? call;
    const after = Object.freeze({ ...before, ...change });
    await this.#cache.replace(before, after);
    return after;
  }
}

function keyOf({ caller, phone }: Pick<CallDocument, 'caller' | 'phone'>): string {
  return `${caller} ${phone}`;
}

function purposeOf(id: string): string {
  return `${PURPOSE} ${id}`;
}

function noCode(): LadingError {
  return new LadingError('not_found', 'There is no valid code for this number. Request a new code.');
}
