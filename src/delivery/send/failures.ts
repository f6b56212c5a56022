/** Classifies the failures of attempts, and describes them. */
import { LadingError } from '../../errors.ts';

const MAX_ERROR_CHARS = 300;

/** What follows from a failure, besides another attempt. */
export interface Consequence {
  /** The target itself failed (no connection, no sign-in). All its deliveries pause. */
  pauses?: true;
  /** The server aborted the attempt. The state of the target is unknown. */
  unknown?: true;
  /** Pause that the target asked for, in milliseconds. */
  retryAfterMs?: number;
  /** Another attempt would fail in the same way. The delivery fails permanently. */
  ends?: true;
  /** The target asked to be disabled. */
  disables?: true;
}

const consequences = new WeakMap<Error, Consequence>();

/** Attaches a consequence to an error. */
export function withConsequence<E extends Error>(error: E, consequence: Consequence): E {
  consequences.set(error, consequence);
  return error;
}

/** Runs work that connects to a target or signs in there. Its failures pause the target. */
export async function attributeToTarget<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw withConsequence(asError(error), { pauses: true });
  }
}

/** The consequence that is attached to an error; empty by default. */
export function consequenceOf(error: Error): Consequence {
  return consequences.get(error) ?? {};
}

/** Wraps a thrown value that is not an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Describes an error without any text that another server sent. */
export function describeWithoutReply(error: Error): string {
  if (error instanceof LadingError) return error.message;
  const { code } = error as Error & { code?: unknown };
  if (typeof code === 'number') return `the server answered ${code}`;
  return typeof code === 'string' ? `the connection failed: ${code}` : 'the server or the connection failed';
}

/** Describes an error in one short line. The secret is masked. */
export function describeError(error: Error, secret: string | null): string {
  // Node reports a host of which no address can be reached as an AggregateError without a message.
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error.cause;
  const cause = inner instanceof Error ? inner.message : '';
  const text = (error.message || cause || error.name).replaceAll(/\s+/g, ' ');
  const safe = secret === null || secret === '' ? text : text.replaceAll(secret, '*'.repeat(8));
  return safe.slice(0, MAX_ERROR_CHARS);
}
