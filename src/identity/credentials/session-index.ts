/** An index of sessions by subject, ordered by their last use. */
import type { SessionDocument } from '../../records/credentials.ts';
import type { Subject } from '../../records/principal.ts';

export class SessionIndex {
  /** Subject → ids of its sessions, least recently used first. */
  readonly #bySubject = new Map<string, Set<string>>();

  /** Ids of the sessions of a subject, least recently used first. */
  idsOf(subject: Subject): readonly string[] {
    return [...(this.#bySubject.get(keyOf(subject)) ?? [])];
  }

  /** Makes a session the most recently used one of its subject. */
  touch(session: SessionDocument): void {
    const key = keyOf(subjectOf(session));
    const ids = this.#bySubject.get(key) ?? new Set<string>();
    ids.delete(session.id);
    this.#bySubject.set(key, ids.add(session.id));
  }

  remove(session: SessionDocument): void {
    const key = keyOf(subjectOf(session));
    const ids = this.#bySubject.get(key);
    ids?.delete(session.id);
    if (ids?.size === 0) this.#bySubject.delete(key);
  }
}

function subjectOf({ kind, subject: id }: SessionDocument): Subject {
  return { kind, id };
}

function keyOf({ kind, id }: Subject): string {
  return `${kind} ${id}`;
}
