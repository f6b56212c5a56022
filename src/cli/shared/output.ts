/**
 * The output of a command. Results go to standard output, everything else to standard error. With `--json`, standard output is one JSON
 * object, or for a transfer one object per line, of which the last is the result.
 */
import { describeError, EXIT } from './exit.ts';
import { jsonLine, printable, printableLines } from './terminal.ts';

/** Aborted when the reader of standard output has closed it. */
const outputClosed = new AbortController();

/**
 * Lets a command continue when the reader closes its output (`lading upload … | head -1`). Any other write error, such as a full
 * disk, turns exit code 0 into 1.
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

/** Prints results, notes, errors and progress in the requested format. */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  /** True while a progress line is on the terminal; it must be cleared before anything else is written. */
  #drawn = false;
  #results: NodeJS.WritableStream = process.stdout;

  constructor(options: { json?: boolean | undefined; quiet?: boolean | undefined }) {
    this.json = options.json ?? false;
    this.quiet = options.quiet ?? false;
  }

  /** True when a progress line can be redrawn. */
  get interactive(): boolean {
    return process.stderr.isTTY === true && !this.json && !this.quiet;
  }

  /** Aborted when the reader closes the results. A command that only prints may then end. */
  get outputClosed(): AbortSignal {
    return outputClosed.signal;
  }

  /** Reserves standard output for file content. Results then go to standard error. */
  contentOnStdout(): void {
    this.#results = process.stderr;
  }

  /** Prints the result: `value` with `--json`, else `text` unless it is empty. */
  result(value: object, text: string): void {
    this.clearLine();
    if (this.json) this.#results.write(`${jsonLine(value)}\n`);
    else if (text !== '') this.#results.write(`${printableLines(text)}\n`);
  }

  /** Prints an intermediate event, with `--json` only. */
  event(value: object): void {
    if (this.json && !this.quiet) this.#results.write(`${jsonLine(value)}\n`);
  }

  /** Prints a note to standard error, unless `--quiet`. */
  note(text: string): void {
    if (this.quiet) return;
    this.clearLine();
    process.stderr.write(`${printable(text)}\n`);
  }

  /** Prints an error. @param file the file it concerns, when the command continues with others */
  error(error: unknown, file?: string): void {
    this.clearLine();
    const described = describeError(error);
    if (this.json) {
      this.#results.write(
        `${jsonLine(file === undefined ? { error: described } : { event: 'error', file, error: described })}\n`,
      );
      return;
    }
    const where = file === undefined ? '' : `${file}: `;
    // The error of a local file also ends with its path.
    const detail = String(described.detail);
    const text = file !== undefined && detail.endsWith(`: ${file}`) ? detail.slice(0, -file.length - 2) : detail;
    process.stderr.write(`lading: ${printable(`${where}${text}`)}\n`);
  }

  /** Redraws the progress line, truncated to the width of the terminal. */
  draw(line: string): void {
    this.#drawn = true;
    process.stderr.write(`\r\x1b[K${printable(line).slice(0, this.columns - 1)}`);
  }

  /** Clears the progress line, if there is one. */
  clearLine(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }

  /** Width of the terminal; 80 if unknown. */
  get columns(): number {
    return process.stderr.columns || 80;
  }
}
