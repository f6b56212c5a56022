/** Digests that follow the bytes of a request. The functions are called at the end of the body. An error that one throws refuses the request. */
import type { Digest } from '../../protocol/http/digests.ts';

export interface TrailingDigests {
  /** Digest of the content of this request. */
  contentDigest?: (() => Digest | null) | undefined;
  /** Digest of the whole file. */
  reprDigest?: (() => Digest | null) | undefined;
}
