/** The output of the demo: numbered steps and comparisons. */
import type { FileStatus } from '../../src/protocol/schemas/files.ts';

export const MB = 1e6;

let steps = 0;
/** Failed comparisons. */
export const failures: string[] = [];

/** Prints the title of a numbered step. */
export function step(title: string): void {
  steps += 1;
  process.stdout.write(`\n${String(steps).padStart(2)}  ${title}\n`);
}

/** Prints an indented line. */
export function say(line: string): void {
  process.stdout.write(`    ${line}\n`);
}

/** Prints the result of a comparison and records a failure. */
export function check(ok: boolean, what: string): void {
  say(`${ok ? 'ok    ' : 'FAILED'} ${what}`);
  if (!ok) failures.push(what);
}

export function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}

export function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(2)} s`;
}

/** Describes the missing bytes of an upload. */
export function missing({ missing, missing_more: more }: FileStatus): string {
  const bytes = missing.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return `${mb(bytes)} missing in ${missing.length}${more ? '+' : ''} ${missing.length === 1 ? 'gap' : 'gaps'}`;
}

/** True when every range that is missing now was missing before. */
export function within(now: [number, number][], before: [number, number][]): boolean {
  return now.every(([first, last]) => before.some(([from, to]) => from <= first && last <= to));
}
