/** JSON requests, on which the calls of administration and sharing are built. */
import { checkName } from '../../protocol/names.ts';

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

/** The largest page of lists of administration. */
export const MAX_PAGE = 1000;

/** Encodes an id as one path segment. Validates it here too, because a URL would resolve `..`. */
export function segment(id: string): string {
  return encodeURIComponent(checkName(id));
}
