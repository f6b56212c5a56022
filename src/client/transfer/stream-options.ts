/** Options of `read`. */
import type { RangeRequest } from '../calls/options.ts';
import type { Progress } from './meter.ts';
import type { RetryNotice, RetryOptions } from './retry.ts';

/** Progress of a stream, whose total size may be unknown. */
export interface StreamProgress extends Omit<Progress, 'total'> {
  total: number | null;
}

/** Options of a stream. */
export interface StreamOptions extends RetryOptions {
  range?: RangeRequest | undefined;
  /** Start at the first byte and wait for bytes that have not arrived. Cannot be combined with `range`. */
  follow?: boolean | undefined;
  owner?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: StreamProgress) => void) | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
}
