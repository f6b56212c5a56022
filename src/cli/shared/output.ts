/**
 * What a command says. Results go to standard output, everything else to standard error. With `--json` standard output is one JSON
 * object, or for a transfer one a line, the last of which is the result.
 */
import { describeError, EXIT } from './exit.ts';
import { jsonLine, printable, printableLines } from './terminal.ts';

/** Aborted once nobody reads standard output any more. */
const outputClosed = new AbortController();

/**
 * Has the command go on when nobody reads what it says (`lading upload … | head -1`): what it does is worth more than what it prints.
 * What cannot be written for another reason, as on a full disk, makes a command that went well end with 1.
 */
export function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (stream === process.stdout) outputClosed.abort();
      if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') return;
      process.on('exit', () => {
        process.exitCode ||= EXIT.failure;
      });
    });
  }
}

export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  /** The progress line that stands on the terminal, to be wiped before anything else is written. */
  #drawn = false;
  #results: NodeJS.WritableStream = process.stdout;

  constructor(options: { json?: boolean | undefined; quiet?: boolean | undefined }) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
  }

  /** A progress line can be drawn and redrawn. */
  get interactive(): boolean {
    return process.stderr.isTTY === true && !this.json && !this.quiet;
  }

  /** Aborted once nobody reads the results: a command that does nothing but print may end then. */
  get outputClosed(): AbortSignal {
    return outputClosed.signal;
  }

  /** Standard output carries the file itself: what else there is to say goes to standard error. */
  contentOnStdout(): void {
    this.#results = process.stderr;
  }

  /** The result: `value` for programs, `text` for people (nothing when empty). */
  result(value: object, text: string): void {
    this.clearLine();
    if (this.json) this.#results.write(`${jsonLine(value)}\n`);
    else if (text !== '') this.#results.write(`${printableLines(text)}\n`);
  }

  /** One line of a longer story, for programs only. */
  event(value: object): void {
    if (this.json && !this.quiet) this.#results.write(`${jsonLine(value)}\n`);
  }

  /** Something worth knowing while the command goes on. */
  note(text: string): void {
    if (this.quiet) return;
    this.clearLine();
    process.stderr.write(`${printable(text)}\n`);
  }

  error(error: unknown, file?: string): void {
    this.clearLine();
    const described = describeError(error);
    if (this.json) {
      this.#results.write(
        `${jsonLine(file === undefined ? { error: described } : { event: 'error', file, error: described })}\n`,
      );
      return;
    }
    const where = file === undefined ? '' : `${printable(file)}: `;
    process.stderr.write(`lading: ${where}${printable(String(described.detail))}\n`);
  }

  /** Draws over the last line of the terminal; what does not fit is cut. */
  draw(line: string): void {
    this.#drawn = true;
    process.stderr.write(`\r\x1b[K${printable(line).slice(0, this.columns - 1)}`);
  }

  /** Takes away the line that stands there, if one does. */
  clearLine(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }

  /** Width of the terminal; some do not know theirs. */
  get columns(): number {
    return process.stderr.columns || 80;
  }
}
