/** Prompts on the terminal. They go to standard error, so that results can be piped. */
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { EXIT, Stopped, UsageError } from './exit.ts';

/** The user did not confirm. */
export class Declined extends Error {
  override readonly name = 'Declined';
}

/** How to prompt. */
export interface AskOptions {
  /** Do not echo the input. */
  hidden?: boolean;
  /** Keep leading and trailing spaces. */
  verbatim?: boolean;
  /** Accept an empty answer. */
  optional?: boolean;
}

/**
 * Asks for confirmation. Without a terminal, as in scripts, the command counts as confirmed.
 * @throws Declined for any other answer; Stopped on Ctrl-C
 */
export async function requireConfirmation(question: string): Promise<void> {
  if (!process.stdin.isTTY) return;
  const answer = await ask(`${question} [y/N] `, '', { optional: true });
  if (!/^y(?:es)?$/i.test(answer)) throw new Declined('Nothing was changed.');
}

/**
 * Prompts for a line of input.
 * @param option the option or variable that supplies the value without a terminal
 * @throws UsageError without a terminal or an answer; Stopped on Ctrl-C
 */
export async function ask(
  question: string,
  option: string,
  { hidden, verbatim, optional }: AskOptions = {},
): Promise<string> {
  if (!process.stdin.isTTY) throw new UsageError(`Standard input is not a terminal. Use ${option}.`);
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  // The interface turns echo off, so create it before the question appears.
  const lines = createInterface({ input: process.stdin, output: hidden ? mute : process.stderr, terminal: true });
  const stop = new AbortController();
  lines.on('SIGINT', () => stop.abort(new Stopped(EXIT.interrupted)));
  lines.on('close', () => stop.abort(new UsageError('Nothing was entered.')));
  if (hidden) process.stderr.write(question);
  try {
    const line = await lines.question(hidden ? '' : question, { signal: stop.signal });
    const answer = verbatim ? line : line.trim();
    if (answer === '' && !optional) throw new UsageError('Nothing was entered.');
    return answer;
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    lines.close();
    if (hidden) process.stderr.write('\n');
  }
}
