/**
 * Sessions. Most sessions can be renewed: each has a chain of refresh tokens of which only the newest is valid. The previous one returns
 * the same successor for 30 more seconds, because a reply may get lost, and two tabs of a browser may renew at the same time. A token that
 * is used later, or is older, may have been stolen: the whole session ends, with every access token that belongs to it (RFC 9700 §4.14.2).
 *
 * Sessions have a maximum age, however often they are renewed. A session whose access token lasts as long as the session itself needs
 * no refresh token. It has a document, too, so that it can be listed and ended like the others.
 *
 *     begin → token 1 → refresh → token 2 → refresh → token 3 …      one document, which has the hashes of the last two tokens. The
 *                         again → token 2                            newest token is stored encrypted with the one before it
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
import { SessionIndex } from './session-index.ts';

/**
 * Maximum number of sessions of one subject; the least recently used one ends first. Without it, a device that signs in every half hour
 * would accumulate documents.
 */
const MAX_PER_SUBJECT = 16;
/** The maximum while their access tokens may still be valid: many programs may share one device. */
const MAX_IN_USE = 1000;
/** How long a used token returns the same successor. */
export const GRACE_MS = 30_000;
/** Maximum length of the user agent, in characters. */
const MAX_AGENT = 200;

/** A session with its new refresh token, which is not stored in clear. */
export interface IssuedSession {
  session: SessionDocument;
  refreshToken: string;
}

export class Sessions {
  readonly #cache: DocumentCache<SessionDocument>;
  readonly #clock: Clock;
  readonly #lifeMs: number;
  readonly #accessMs: number;
  readonly #maxAgeMs: number;
  readonly #bySubject = new SessionIndex();
  /** Id → monotonic time until which the previous token returns the newest one. */
  readonly #graces = new Map<string, number>();
  /** Renewals that are being stored, by id. */
  readonly #renewing = new Map<string, Promise<IssuedSession>>();

  private constructor(
    cache: DocumentCache<SessionDocument>,
    clock: Clock,
    seconds: Record<'life' | 'access' | 'maxAge', number>,
  ) {
    this.#cache = cache;
    this.#clock = clock;
    this.#lifeMs = seconds.life * 1000;
    this.#accessMs = seconds.access * 1000;
    this.#maxAgeMs = seconds.maxAge * 1000;
    for (const session of [...cache.values()].sort((a, b) => a.expiresAt - b.expiresAt)) {
      this.#bySubject.touch(session);
      this.#resumeGrace(session);
    }
  }

  /**
   * Reads all sessions.
   * @param lifeSeconds lifetime of a refresh token
   * @param accessSeconds lifetime of an access token
   * @param maxAgeSeconds maximum age of a session, however often it is renewed
   */
  static async open(
    store: Collection<SessionDocument>,
    clock: Clock,
    lifeSeconds: number,
    accessSeconds = 0,
    maxAgeSeconds = Number.POSITIVE_INFINITY,
  ): Promise<Sessions> {
    const seconds = { life: lifeSeconds, access: accessSeconds, maxAge: maxAgeSeconds };
    return new Sessions(await DocumentCache.open(store, ({ id }) => id), clock, seconds);
  }

  /**
   * Begins a session. Durable when it resolves.
   * @param scopes scopes of its tokens; null: all scopes of the subject
   * @param about user agent and network of the client, and the lifetime in milliseconds of a session that cannot be renewed
   */
  async begin(
    subject: Subject,
    scopes: readonly Scope[] | null = null,
    { agent, longMs, network }: { agent?: string | undefined; longMs?: number | undefined; network?: string } = {},
  ): Promise<IssuedSession> {
    const now = this.#clock.steady();
    const id = randomBytes(16).toString('hex');
    const refreshToken = makeToken(id);
    const session: SessionDocument = {
      id,
      subject: subject.id,
      kind: subject.kind,
      scopes: scopes === null ? null : [...scopes],
      hash: hashOf(refreshToken),
      createdAt: now,
      expiresAt: longMs === undefined ? this.#expiryOf(now, now) : now + longMs,
      ...(agent === undefined ? {} : { agent: printable(agent) }),
      ...(longMs === undefined ? {} : { long: true as const }),
      ...(network === undefined ? {} : { network }),
    };
    await this.#cache.put(session);
    this.#bySubject.touch(session);
    // Ends up to two, so that the number shrinks if it was above the limit.
    for (let n = 0; n < 2; n += 1) await this.#endOldest(subject);
    return { session, refreshToken };
  }

  /**
   * Renews a session: returns the next refresh token. The token that was used last returns the same successor during the grace period.
   * Durable when it resolves, for every caller.
   * @throws LadingError `unauthorized`; a token that was used before has ended the session by then
   */
  async refresh(refreshToken: string): Promise<IssuedSession> {
    const before = this.familyOf(refreshToken);
    if (before === null) throw badToken();
    if (isHashOf(before.hash, refreshToken)) return this.#renew(before, refreshToken);
    const successor = this.#successorOf(before, refreshToken);
    if (successor === null) {
      await this.end(before.id);
      throw badToken();
    }
    // The successor is returned only when it is durable.
    await this.#renewing.get(before.id);
    const session = this.#cache.get(before.id);
    if (!session || !this.isAlive(session.id)) throw badToken();
    return { session, refreshToken: successor };
  }

  /** True if `refresh` would accept this token. Does not use it. */
  isAccepted(refreshToken: string): boolean {
    const session = this.familyOf(refreshToken);
    return (
      session !== null && (isHashOf(session.hash, refreshToken) || this.#successorOf(session, refreshToken) !== null)
    );
  }

  /**
   * Renews a session without a new refresh token; its expiry does not change. For programs that never store a second token. Durable
   * when it resolves.
   * @throws LadingError `unauthorized`
   */
  async renewWithSameToken(refreshToken: string): Promise<IssuedSession> {
    const before = this.findByToken(refreshToken);
    if (before === null) throw badToken();
    const session = { ...before, renewedAt: this.#clock.steady() };
    await this.#cache.replace(before, session);
    if (!this.isAlive(session.id)) throw badToken();
    this.#bySubject.touch(session);
    return { session, refreshToken };
  }

  #renew(before: SessionDocument, refreshToken: string): Promise<IssuedSession> {
    const renewing = this.#rotate(before, refreshToken);
    const { id } = before;
    this.#renewing.set(id, renewing);
    const done = (): void => {
      if (this.#renewing.get(id) === renewing) this.#renewing.delete(id);
    };
    renewing.then(done, done);
    return renewing;
  }

  async #rotate(before: SessionDocument, refreshToken: string): Promise<IssuedSession> {
    const { id } = before;
    const next = makeToken(id);
    const now = this.#clock.steady();
    const previous = { hash: before.hash, next: boxOf(refreshToken).seal(next, id), at: now };
    const expiresAt = this.#expiryOf(before.createdAt, now);
    const session = { ...before, hash: hashOf(next), expiresAt, renewedAt: now, previous };
    const grace = this.#graces.get(id);
    this.#graces.set(id, this.#clock.monotonic() + GRACE_MS);
    try {
      await this.#cache.replace(before, session);
    } catch (error) {
      if (grace === undefined) this.#graces.delete(id);
      else this.#graces.set(id, grace);
      throw error;
    }
    // The session may have ended meanwhile.
    if (!this.isAlive(id)) throw badToken();
    this.#bySubject.touch(session);
    return { session, refreshToken: next };
  }

  /** The newest token, if the given one is the previous one and its grace period has not ended; null otherwise. */
  #successorOf({ id, previous }: SessionDocument, refreshToken: string): string | null {
    const until = this.#graces.get(id);
    if (until === undefined || previous === undefined || !isHashOf(previous.hash, refreshToken)) return null;
    return this.#clock.monotonic() < until ? boxOf(refreshToken).open(previous.next, id) : null;
  }

  /** Restores the rest of a grace period after a restart. A longer grace period does less harm than an ended session. */
  #resumeGrace({ id, previous }: SessionDocument): void {
    if (previous === undefined) return;
    const passed = Math.max(0, this.#clock.steady() - previous.at);
    if (passed < GRACE_MS) this.#graces.set(id, this.#clock.monotonic() + GRACE_MS - passed);
  }

  /**
   * The live session that a token belongs to, whether or not the token was used before; null without one. For checks of the subject and
   * scopes before `refresh`.
   */
  familyOf(refreshToken: string): SessionDocument | null {
    const id = familyIdOf(refreshToken);
    const session = id === null ? undefined : this.#cache.get(id);
    return session !== undefined && this.isAlive(session.id) ? session : null;
  }

  /** The live session whose newest token this is; null without one. */
  findByToken(refreshToken: string): SessionDocument | null {
    const session = this.familyOf(refreshToken);
    return session !== null && isHashOf(session.hash, refreshToken) ? session : null;
  }

  /** True if the session exists and has not ended or expired. Otherwise its access tokens are invalid. */
  isAlive(id: string): boolean {
    const session = this.#cache.get(id);
    if (session === undefined) return false;
    const now = this.#clock.steady();
    // The setting may have been lowered since the document was stored.
    return session.expiresAt > now && session.createdAt + this.#maxAgeMs > now;
  }

  /** The live sessions of a subject, least recently used first. */
  listOf(subject: Subject): SessionDocument[] {
    const alive = this.#bySubject.idsOf(subject).filter((id) => this.isAlive(id));
    return alive.flatMap((id) => this.#cache.get(id) ?? []);
  }

  /** True if a live session of the subject began in this network. */
  beganFrom(subject: Subject, network: string): boolean {
    return this.#bySubject.idsOf(subject).some((id) => this.#cache.get(id)?.network === network && this.isAlive(id));
  }

  /** Ends a session. Its tokens are invalid at once; durable when it resolves. */
  async end(id: string): Promise<void> {
    const session = this.#cache.get(id);
    if (!session) return;
    this.#graces.delete(id);
    this.#bySubject.remove(session);
    try {
      await this.#cache.remove(id);
    } catch (error) {
      // The session is still alive, so `endAllOf` must find it.
      this.#bySubject.touch(session);
      throw error;
    }
  }

  /** Ends all sessions of a subject that was deleted or whose password changed. */
  async endAllOf(subject: Subject): Promise<void> {
    await Promise.all(this.#bySubject.idsOf(subject).map((id) => this.end(id)));
  }

  /** Removes sessions that expired long ago. Returns their number. */
  async sweep(): Promise<number> {
    const now = this.#clock.monotonic();
    for (const [id, until] of this.#graces) if (until <= now) this.#graces.delete(id);
    const expired = [...this.#cache.values()].filter(({ expiresAt, createdAt }) =>
      isLongPast(this.#clock, Math.min(expiresAt, createdAt + this.#maxAgeMs)),
    );
    for (const { id } of expired) await this.end(id);
    return expired.length;
  }

  /** Ends the least recently used session of a subject that has too many. */
  async #endOldest(subject: Subject): Promise<void> {
    const ids = this.#bySubject.idsOf(subject);
    const [oldest = ''] = ids;
    const session = this.#cache.get(oldest);
    if (ids.length <= MAX_PER_SUBJECT || !session) return;
    const lastUse = session.renewedAt ?? Math.max(session.createdAt, session.expiresAt - this.#lifeMs);
    const lastAccess = session.long ? session.expiresAt : lastUse + this.#accessMs;
    if (lastAccess <= this.#clock.steady() || ids.length > MAX_IN_USE) await this.end(session.id);
  }

  #expiryOf(createdAt: number, now: number): number {
    return Math.min(now + this.#lifeMs, createdAt + this.#maxAgeMs);
  }
}

/** The user agent, shortened to printable ASCII. */
function printable(agent: string): string {
  return agent.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_AGENT);
}

function badToken(): LadingError {
  return new LadingError('unauthorized', 'The refresh token is invalid, expired or already used; sign in again.');
}
