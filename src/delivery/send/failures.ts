/** Why a try failed: whose failure it was, and what is said of it. */
import { LadingError } from '../../errors.ts';

const MAX_ERROR_CHARS = 300;

/** What follows from a failure besides another try of the same delivery. */
export interface Consequence {
  /** The target itself failed (no connection, no login): nothing else is tried there for a while. */
  pauses?: true;
  /** It was broken off by this side, which says nothing of the target. */
  unknown?: true;
  /** Milliseconds that the target asked to be left alone, from now on. */
  retryAfterMs?: number;
  /** Another try would end the same way. */
  ends?: true;
  /** The target wants nothing more, ever. */
  disables?: true;
}

const consequences = new WeakMap<Error, Consequence>();

/** Says of an error what follows from it. */
export function withConsequence<E extends Error>(error: E, consequence: Consequence): E {
  consequences.set(error, consequence);
  return error;
}

/** Runs what connects to a target or signs in there: any failure of it is one of the target. */
export async function asTarget<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withConsequence(asError(error), { pauses: true });
  }
}

export function consequenceOf(error: Error): Consequence {
  return consequences.get(error) ?? {};
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** What went wrong, without a word of another server's. */
export function codeOf(error: Error): string {
  if (error instanceof LadingError) return error.message;
  const { code } = error as Error & { code?: unknown };
  if (typeof code === 'number') return `the server said ${code}`;
  return typeof code === 'string' ? `the connection failed: ${code}` : 'the server or the connection failed';
}

/** One short line, with nothing of the password in it. */
export function describe(error: Error, secret: string | null): string {
  // A name of several addresses, none of which answers, is an error without a message.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error.cause;
  const cause = inner instanceof Error ? inner.message : '';
  const text = (error.message || cause || error.name).replaceAll(/\s+/g, ' ');
  const safe = secret === null || secret === '' ? text : text.replaceAll(secret, '*'.repeat(8));
  return safe.slice(0, MAX_ERROR_CHARS);
}
