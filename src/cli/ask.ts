/** Questions on the terminal. They go to standard error, so that results can be piped on. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { EXIT, Stopped, UsageError } from './exit.ts';

export interface AskOptions {
  /** What is typed is not shown. */
  hidden?: boolean;
  /** Spaces at the ends belong to the answer. */
  verbatim?: boolean;
}

/**
 * @param option what to use where nobody can be asked
 * @throws UsageError without a terminal or an answer; Stopped on Ctrl-C
 */
export async function ask(question: string, option: string, { hidden, verbatim }: AskOptions = {}): Promise<string> {
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
    if (answer === '') throw new UsageError('Nothing was entered.');
    return answer;
  } catch (error) {
    throw given.signal.aborted ? given.signal.reason : error;
  } finally {
    lines.close();
    if (hidden) process.stderr.write('\n');
  }
}
