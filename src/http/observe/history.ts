/** The recent load of the server: a sample every ten seconds for the last hour, in memory. */
import type { Clock } from '../../contracts/clock.ts';
import type { History, Sample } from '../../protocol/schemas/transfer.ts';
import { iso } from '../../protocol/times.ts';
import type { Counts, Metrics } from './metrics.ts';

const SECONDS = 10;
const SAMPLES = 360;

/** Takes the samples until it is closed. */
export class ServerHistory {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;
  #before: Counts;

  constructor(metrics: Metrics, clock: Clock) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#before = metrics.counts();
    this.#timer = setInterval(() => this.take(), SECONDS * 1000).unref();
  }

  /** Takes a sample of the time since the last one. */
  take(): void {
    const now = this.#metrics.counts();
    const before = this.#before;
    this.#before = now;
    const chunks = now.chunks - before.chunks;
    const timed = now.timedChunks - before.timedChunks;
    const seconds = now.chunkSeconds - before.chunkSeconds;
    const perSecond = (count: number): number => Math.max(0, Math.round(count / SECONDS));
    this.#samples.push({
      time: iso(this.#clock.now()),
      received: perSecond(now.received - before.received),
      sent: perSecond(now.sent - before.sent),
      chunks,
      chunk_ms: timed === 0 ? null : (1000 * seconds) / timed,
      requests: now.requests - before.requests,
      refused: now.refused - before.refused,
    });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  all(): History {
    return { seconds: SECONDS, samples: [...this.#samples] };
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
