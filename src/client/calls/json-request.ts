/** JSON requests and paged lists, on which the administrative and sharing calls are built. */
import { checkName } from '../../protocol/names.ts';

/** Options of administrative calls. */
export interface AdminOptions {
  signal?: AbortSignal | undefined;
  /** Another tenant; for root. */
  tenant?: string | undefined;
}

/** Makes one authenticated request. `body` and the reply are JSON. */
export type JsonRequest = <T>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  options: {
    query?: Record<string, string | number | undefined>;
    body?: object;
    signal?: AbortSignal | undefined;
  },
) => Promise<T>;

/** The largest page of an administrative list. */
const MAX_PAGE = 1000;

/**
 * Yields the entries of a paged list.
 * @param request requests the page that begins at `cursor`
 * @param max maximum number of entries; all by default
 */
export async function* yieldPages<T>(
  request: (page: {
    cursor: string | undefined;
    limit: number;
  }) => Promise<{ entries: readonly T[]; next: string | null }>,
  max = Number.POSITIVE_INFINITY,
): AsyncGenerator<T> {
  let left = max;
  let cursor: string | undefined;
  do {
    const { entries, next } = await request({ cursor, limit: Math.min(MAX_PAGE, left) });
    yield* entries.slice(0, left);
    left -= entries.length;
    cursor = next ?? undefined;
  } while (cursor !== undefined && left > 0);
}

/** Encodes an id as one path segment. Validates it here too, because a URL would resolve `..`. */
export function segment(id: string): string {
  return encodeURIComponent(checkName(id));
}
