/** Questions on the terminal. They go to standard error, so that results can be piped on. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { EXIT, Stopped, UsageError } from './exit.ts';

/** Who was asked said no. */
export class Declined extends Error {
  override readonly name = 'Declined';
}

export interface AskOptions {
  /** What is typed is not shown. */
  hidden?: boolean;
  /** Spaces at the ends belong to the answer. */
  verbatim?: boolean;
  /** Nothing is an answer, too. */
  optional?: boolean;
}

/**
 * A question to be answered with yes before something is done. Where nobody can be asked, as in scripts, the command itself is the yes.
 * @throws Declined for any other answer; Stopped on Ctrl-C
 */
export async function requireConfirmation(question: string): Promise<void> {
  if (!process.stdin.isTTY) return;
  const answer = await ask(`${question} [y/N] `, '', { optional: true });
  if (!/^y(?:es)?$/i.test(answer)) throw new Declined('Nothing was changed.');
}

/**
 * @param option what to use where nobody can be asked
 * @throws UsageError without a terminal or an answer; Stopped on Ctrl-C
 */
export async function ask(
  question: string,
  option: string,
  { hidden, verbatim, optional }: AskOptions = {},
): Promise<string> {
  if (!process.stdin.isTTY) throw new UsageError(`There is nobody to ask; use ${option} or the environment.`);
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  // From here on the terminal echoes nothing by itself, so the question comes after.
  const lines = createInterface({ input: process.stdin, output: hidden ? mute : process.stderr, terminal: true });
  const given = new AbortController();
  lines.on('SIGINT', () => given.abort(new Stopped(EXIT.interrupted)));
  lines.on('close', () => given.abort(new UsageError('Nothing was entered.')));
  if (hidden) process.stderr.write(question);
  try {
    const line = await lines.question(hidden ? '' : question, { signal: given.signal });
    const answer = verbatim ? line : line.trim();
    if (answer === '' && !optional) throw new UsageError('Nothing was entered.');
    return answer;
  } catch (error) {
    throw given.signal.aborted ? given.signal.reason : error;
  } finally {
    lines.close();
    if (hidden) process.stderr.write('\n');
  }
}
