/** What is said of a try that failed. */
import { LadingError } from '../errors.ts';

const MOST_ERROR = 300;

/** What went wrong, without a word of another server's. */
export function codeOf(error: Error): string {
  if (error instanceof LadingError) return error.message;
  const { code } = error as Error & { code?: unknown };
  if (typeof code === 'number') return `the server said ${code}`;
  return typeof code === 'string' ? `the connection failed: ${code}` : 'the server or the connection failed';
}

/** One short line, with nothing of the password in it. */
export function wordsOf(error: Error, secret: string | null): string {
  const cause = error.cause instanceof Error ? error.cause.message : '';
  const text = (error.message || cause || error.name).replaceAll(/\s+/g, ' ');
  const safe = secret === null || secret === '' ? text : text.replaceAll(secret, '*'.repeat(8));
  return safe.slice(0, MOST_ERROR);
}
