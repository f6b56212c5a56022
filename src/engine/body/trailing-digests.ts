/** What a request says of its bytes only after them; asked for at their end, and what it throws refuses them. */
import type { Digest } from '../../protocol/http/digests.ts';

export interface TrailingDigests {
  /** Of the content of this request. */
  contentDigest?: (() => Digest | null) | undefined;
  /** Of the whole file. */
  reprDigest?: (() => Digest | null) | undefined;
}
