/** What a stream of a file is told. */
import type { RangeRequest } from '../calls/options.ts';
import type { Progress } from './meter.ts';
import type { RetryNotice, RetryOptions } from './retry.ts';

/** As for other transfers, but the size of what arrives may not be known. */
export interface StreamProgress extends Omit<Progress, 'total'> {
  total: number | null;
}

export interface StreamOptions extends RetryOptions {
  range?: RangeRequest | undefined;
  /** Start with the first byte and wait for what is still arriving; not together with `range`. */
  follow?: boolean | undefined;
  owner?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: StreamProgress) => void) | undefined;
  onRetry?: ((notice: RetryNotice) => void) | undefined;
}
