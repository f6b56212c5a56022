/**
 * Sessions. Most can be renewed: each is a family of refresh tokens of which only the youngest counts. The one before it gives the same
 * successor for 30 seconds more: a reply may be lost, and two tabs of a browser may renew at one time. One that comes later, or is older,
 * was stolen, or its thief was quicker: the whole sign-in ends, and with it every access token that came of it (RFC 9700 §4.14.2).
 *
 * However often it is renewed, a session ends when it is so and so old. One whose access token is as good as it is itself has no use for
 * refresh tokens, and is a document all the same: it is listed and ended like the others.
 *
 *     begin → token 1 → refresh → token 2 → refresh → token 3 …      one document, which knows the hash of the last two, and keeps the
 *                         again → token 2                            last sealed by the one before: no other token opens it
 */
import { randomBytes } from 'node:crypto';
import { isLongPast } from '../../clock/clock.ts';
import type { Clock } from '../../contracts/clock.ts';
import type { Collection } from '../../contracts/collection.ts';
import { LadingError } from '../../errors.ts';
import type { Scope } from '../../protocol/scopes.ts';
import type { SessionDocument } from '../../records/credentials.ts';
import type { Subject } from '../../records/principal.ts';
import { DocumentCache } from '../state/document-cache.ts';
import { boxOf, familyIdOf, hashOf, isHashOf, makeToken } from './refresh-tokens.ts';

/**
 * Of one subject; whoever begins more ends the one used longest ago. A device that signs in anew every half hour leaves no heap of
 * documents.
 */
const MAX_EACH = 16;
/** The same while access tokens that came of them may be in use: many programs may share one client. */
const MAX_IN_USE = 1000;
/** For so long the token that was just used gives the same successor. */
export const GRACE_MS = 30_000;
/** In characters. */
const MAX_AGENT = 200;

/** A refresh token that was just made; the only time that it is known. */
export interface IssuedSession {
  session: SessionDocument;
  refreshToken: string;
}

export class Sessions {
  readonly #kept: DocumentCache<SessionDocument>;
  readonly #clock: Clock;
  readonly #lifeMs: number;
  readonly #accessMs: number;
  readonly #mostMs: number;
  /** Subject → ids of its sign-ins, the one used longest ago first. */
  readonly #bySubject = new Map<string, Set<string>>();
  /** By id, until when (monotonic) the token before the youngest gives it again. */
  readonly #graces = new Map<string, number>();
  /** Renewals that are being written, by id. */
  readonly #renewing = new Map<string, Promise<IssuedSession>>();

  private constructor(
    kept: DocumentCache<SessionDocument>,
    clock: Clock,
    seconds: Record<'life' | 'access' | 'most', number>,
  ) {
    this.#kept = kept;
    this.#clock = clock;
    this.#lifeMs = seconds.life * 1000;
    this.#accessMs = seconds.access * 1000;
    this.#mostMs = seconds.most * 1000;
    for (const signIn of [...kept.values()].sort((a, b) => a.expiresAt - b.expiresAt)) {
      this.#index(signIn);
      this.#resumeGrace(signIn);
    }
  }

  /**
   * @param lifeSeconds how long a refresh token is good
   * @param accessSeconds how long an access token is
   * @param mostSeconds how old a session becomes, however often it is renewed
   */
  static async open(
    store: Collection<SessionDocument>,
    clock: Clock,
    lifeSeconds: number,
    accessSeconds = 0,
    mostSeconds = Number.POSITIVE_INFINITY,
  ): Promise<Sessions> {
    const seconds = { life: lifeSeconds, access: accessSeconds, most: mostSeconds };
    return new Sessions(await DocumentCache.open(store, ({ id }) => id), clock, seconds);
  }

  /**
   * Durable when it resolves.
   * @param scopes what every token of it is limited to; null: whatever the subject may
   * @param about what the program calls itself, the network it came from, and how long it lasts if its one access token lasts as long
   */
  async begin(
    subject: Subject,
    scopes: readonly Scope[] | null = null,
    { agent, longMs, network }: { agent?: string | undefined; longMs?: number | undefined; network?: string } = {},
  ): Promise<IssuedSession> {
    const now = this.#clock.steady();
    const id = randomBytes(16).toString('hex');
    const refreshToken = makeToken(id);
    const signIn: SessionDocument = {
      id,
      subject: subject.id,
      kind: subject.kind,
      scopes: scopes === null ? null : [...scopes],
      hash: hashOf(refreshToken),
      createdAt: now,
      expiresAt: longMs === undefined ? this.#endOf(now, now) : now + longMs,
      ...(agent === undefined ? {} : { agent: printable(agent) }),
      ...(longMs === undefined ? {} : { long: true as const }),
      ...(network === undefined ? {} : { network }),
    };
    await this.#kept.put(signIn);
    this.#index(signIn);
    // Two, so that what was too many at one time becomes fewer.
    for (let n = 0; n < 2; n += 1) await this.#endSuperfluous(subjectKey(signIn));
    return { session: signIn, refreshToken };
  }

  /**
   * The next token of the family; for the token that was used last the same one again, for as long as that is forgiven. Durable when it
   * resolves, for whoever asks.
   * @throws LadingError `unauthorized`; for a token used before the family has ended by then
   */
  async refresh(refreshToken: string): Promise<IssuedSession> {
    const before = this.#find(refreshToken);
    if (before === null) throw badToken();
    if (isHashOf(before.hash, refreshToken)) return this.#renew(before, refreshToken);
    const successor = this.#successorOf(before, refreshToken);
    if (successor === null) {
      await this.end(before.id);
      throw badToken();
    }
    // What is not written yet is given to nobody.
    await this.#renewing.get(before.id);
    const signIn = this.#kept.get(before.id);
    if (!signIn || !this.isAlive(signIn.id)) throw badToken();
    return { session: signIn, refreshToken: successor };
  }

  /** True when `refresh` takes this token: it is the youngest, or the one before and still forgiven. Nothing happens to it. */
  isAccepted(refreshToken: string): boolean {
    const signIn = this.#find(refreshToken);
    return signIn !== null && (isHashOf(signIn.hash, refreshToken) || this.#successorOf(signIn, refreshToken) !== null);
  }

  /**
   * The sign-in of its youngest token, which stays the youngest and lapses when it was to lapse. For programs that never learn another
   * one. Durable when it resolves.
   * @throws LadingError `unauthorized`
   */
  async renewWithSameToken(refreshToken: string): Promise<IssuedSession> {
    const before = this.ofToken(refreshToken);
    if (before === null) throw badToken();
    const signIn = { ...before, renewedAt: this.#clock.steady() };
    await this.#kept.replace(before, signIn);
    if (!this.isAlive(signIn.id)) throw badToken();
    this.#index(signIn);
    return { session: signIn, refreshToken };
  }

  #renew(before: SessionDocument, refreshToken: string): Promise<IssuedSession> {
    const renewing = this.#written(before, refreshToken);
    const { id } = before;
    this.#renewing.set(id, renewing);
    const done = (): void => {
      if (this.#renewing.get(id) === renewing) this.#renewing.delete(id);
    };
    renewing.then(done, done);
    return renewing;
  }

  async #written(before: SessionDocument, refreshToken: string): Promise<IssuedSession> {
    const { id } = before;
    const next = makeToken(id);
    const now = this.#clock.steady();
    const previous = { hash: before.hash, next: boxOf(refreshToken).seal(next, id), at: now };
    const expiresAt = this.#endOf(before.createdAt, now);
    const signIn = { ...before, hash: hashOf(next), expiresAt, renewedAt: now, previous };
    const grace = this.#graces.get(id);
    this.#graces.set(id, this.#clock.monotonic() + GRACE_MS);
    try {
      await this.#kept.replace(before, signIn);
    } catch (error) {
      if (grace === undefined) this.#graces.delete(id);
      else this.#graces.set(id, grace);
      throw error;
    }
    // The end of the subject may have come in between.
    if (!this.isAlive(id)) throw badToken();
    this.#index(signIn);
    return { session: signIn, refreshToken: next };
  }

  /** What was given for this token, if it is the one before the youngest and that is forgiven. */
  #successorOf({ id, previous }: SessionDocument, refreshToken: string): string | null {
    const until = this.#graces.get(id);
    if (until === undefined || previous === undefined || !isHashOf(previous.hash, refreshToken)) return null;
    return this.#clock.monotonic() < until ? boxOf(refreshToken).open(previous.next, id) : null;
  }

  /** What is left of it after a restart. One that is in doubt is less harm than a session that ends for a lost reply. */
  #resumeGrace({ id, previous }: SessionDocument): void {
    if (previous === undefined) return;
    const passed = Math.max(0, this.#clock.steady() - previous.at);
    if (passed < GRACE_MS) this.#graces.set(id, this.#clock.monotonic() + GRACE_MS - passed);
  }

  /**
   * The sign-in that this token has the form of, used before or not, or null. To look at before `refresh`: whose it is, and what it
   * may.
   */
  familyOf(refreshToken: string): SessionDocument | null {
    return this.#find(refreshToken);
  }

  /** The sign-in that this token is the youngest of, or null. */
  ofToken(refreshToken: string): SessionDocument | null {
    const signIn = this.#find(refreshToken);
    return signIn !== null && isHashOf(signIn.hash, refreshToken) ? signIn : null;
  }

  /** False once it was ended, was let lapse, or never was: its access tokens are worthless then. */
  isAlive(id: string): boolean {
    const signIn = this.#kept.get(id);
    if (signIn === undefined) return false;
    const now = this.#clock.steady();
    // The setting may have been lowered since.
    return signIn.expiresAt > now && signIn.createdAt + this.#mostMs > now;
  }

  /** The sessions of a subject that are alive, the one used longest ago first. */
  listOf(subject: Subject): SessionDocument[] {
    const ids = this.#bySubject.get(`${subject.kind} ${subject.id}`) ?? [];
    const alive = [...ids].filter((id) => this.isAlive(id));
    return alive.flatMap((id) => this.#kept.get(id) ?? []);
  }

  /** True when a session of the subject that is alive began in this network. */
  beganFrom(subject: Subject, network: string): boolean {
    const ids = this.#bySubject.get(`${subject.kind} ${subject.id}`) ?? [];
    return [...ids].some((id) => this.#kept.get(id)?.network === network && this.isAlive(id));
  }

  /** Its tokens are worthless from this moment; durable when it resolves. */
  async end(id: string): Promise<void> {
    const signIn = this.#kept.get(id);
    if (!signIn) return;
    const key = subjectKey(signIn);
    this.#graces.delete(id);
    const ids = this.#bySubject.get(key);
    ids?.delete(id);
    if (ids?.size === 0) this.#bySubject.delete(key);
    try {
      await this.#kept.remove(id);
    } catch (error) {
      // It is alive still, and whoever ends all of the subject must find it.
      this.#index(signIn);
      throw error;
    }
  }

  /** Ends all sign-ins of a subject: it was deleted, or its password changed. */
  async endAllOf(subject: Subject): Promise<void> {
    const ids = this.#bySubject.get(`${subject.kind} ${subject.id}`) ?? [];
    await Promise.all([...ids].map((id) => this.end(id)));
  }

  /** Removes what lapsed long ago; the number of them. */
  async sweep(): Promise<number> {
    const now = this.#clock.monotonic();
    for (const [id, until] of this.#graces) if (until <= now) this.#graces.delete(id);
    const lapsed = [...this.#kept.values()].filter(({ expiresAt, createdAt }) =>
      isLongPast(this.#clock, Math.min(expiresAt, createdAt + this.#mostMs)),
    );
    for (const { id } of lapsed) await this.end(id);
    return lapsed.length;
  }

  #find(refreshToken: string): SessionDocument | null {
    const id = familyIdOf(refreshToken);
    const signIn = id === null ? undefined : this.#kept.get(id);
    return signIn !== undefined && this.isAlive(signIn.id) ? signIn : null;
  }

  async #endSuperfluous(key: string): Promise<void> {
    const ids = this.#bySubject.get(key) ?? new Set();
    const [oldest = ''] = ids;
    const signIn = this.#kept.get(oldest);
    if (ids.size <= MAX_EACH || !signIn) return;
    const lastUse = signIn.renewedAt ?? Math.max(signIn.createdAt, signIn.expiresAt - this.#lifeMs);
    const lastAccess = signIn.long ? signIn.expiresAt : lastUse + this.#accessMs;
    if (lastAccess <= this.#clock.steady() || ids.size > MAX_IN_USE) await this.end(signIn.id);
  }

  #endOf(createdAt: number, now: number): number {
    return Math.min(now + this.#lifeMs, createdAt + this.#mostMs);
  }

  /** As the one used last. */
  #index(signIn: SessionDocument): void {
    const key = subjectKey(signIn);
    const ids = this.#bySubject.get(key) ?? new Set<string>();
    ids.delete(signIn.id);
    ids.add(signIn.id);
    this.#bySubject.set(key, ids);
  }
}

/** What a program says of itself, as it can be shown. */
function printable(agent: string): string {
  return agent.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_AGENT);
}

function subjectKey({ kind, subject }: SessionDocument): string {
  return `${kind} ${subject}`;
}

function badToken(): LadingError {
  return new LadingError('unauthorized', 'The refresh token is invalid, expired or was used before; sign in again.');
}
