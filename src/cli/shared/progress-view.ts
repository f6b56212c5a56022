/** Shows the progress of a transfer: a line that is redrawn on a terminal, otherwise a plain line every few seconds. */

import type { RetryNotice } from '../../client/transfer/retry.ts';
import type { StreamProgress } from '../../client/transfer/stream.ts';
import { describeError } from './exit.ts';
import type { Output } from './output.ts';
import { printable } from './terminal.ts';
import { formatSeconds, formatSize } from './values.ts';

const REDRAW_MS = 100;

/** The progress of one transfer. */
export class ProgressView {
  readonly #out: Output;
  readonly #file: string;
  readonly #everyMs: number;
  #shownAt = performance.now();

  /** @param everyMs milliseconds between plain lines and between JSON events */
  constructor(out: Output, file: string, everyMs: number) {
    this.#out = out;
    this.#file = file;
    this.#everyMs = everyMs;
  }

  update(progress: StreamProgress): void {
    const now = performance.now();
    if (now - this.#shownAt < (this.#out.interactive ? REDRAW_MS : this.#everyMs)) return;
    this.#shownAt = now;
    this.#show(progress);
  }

  retry({ error, attempt, delayMs }: RetryNotice): void {
    const described = describeError(error);
    const seconds = Math.round(delayMs / 100) / 10;
    this.#out.event({ event: 'retry', file: this.#file, attempt, delay_seconds: seconds, error: described });
    if (!this.#out.json) this.#out.note(`${this.#file}: ${described.detail} Retrying in ${seconds} s.`);
  }

  restart(why: string): void {
    this.#out.event({ event: 'restart', file: this.#file, detail: why });
    if (!this.#out.json) this.#out.note(`${this.#file}: ${why}`);
  }

  /** Clears the progress line. */
  end(): void {
    this.#out.clearLine();
  }

  #show(progress: StreamProgress): void {
    const { done, moving, total, rate, left } = progress;
    if (this.#out.json) {
      this.#out.event({
        event: 'progress',
        file: this.#file,
        done_bytes: done,
        moving_bytes: moving,
        total_bytes: total,
        bytes_per_second: Math.round(rate),
        seconds_left: left === null ? null : Math.ceil(left),
      });
    } else if (this.#out.interactive) {
      this.#out.draw(progressLine(this.#file, progress, this.#out.columns));
    } else {
      this.#out.note(`${this.#file}: ${numbers(progress)}`);
    }
  }
}

/**
 * `movie.mkv [======>      ]  45 %  1.2 GiB of 2.7 GiB  85 MiB/s  0:18 left`, truncated to the width of the terminal. With an unknown
 * size: `live.ts  1.2 GiB  85 MiB/s`.
 */
export function progressLine(file: string, progress: StreamProgress, columns: number): string {
  const text = numbers(progress);
  const room = columns - 1 - text.length - 2;
  const fullName = printable(file);
  const name = truncate(fullName, Math.max(8, Math.min(fullName.length, Math.floor(room / 2))));
  const share = fraction(progress);
  const width = Math.min(40, room - name.length - 3);
  if (width < 5) return truncate(text, columns - 1);
  if (share === null) return `${name}  ${text}`;
  const filled = Math.round(share * width);
  const bar = filled >= width ? '='.repeat(width) : `${'='.repeat(filled)}>${' '.repeat(width - filled - 1)}`;
  return `${name} [${bar}] ${text}`;
}

function numbers(progress: StreamProgress): string {
  const { done, moving, total, rate, left } = progress;
  const share = fraction(progress);
  if (total === null || share === null) return `${formatSize(done + moving)}  ${formatSize(rate)}/s`;
  const time = left === null ? 'waiting' : `${formatSeconds(left)} left`;
  const percent = String(Math.floor(share * 100)).padStart(3);
  const reached = Math.min(total, done + moving);
  return `${percent} %  ${formatSize(reached)} of ${formatSize(total)}  ${formatSize(rate)}/s  ${time}`;
}

/** The completed fraction, 0 to 1; null while the size is unknown. */
function fraction({ done, moving, total }: StreamProgress): number | null {
  if (total === null) return null;
  return total === 0 ? 1 : Math.min(1, (done + moving) / total);
}

function truncate(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, Math.max(0, max - 1))}…`;
}
