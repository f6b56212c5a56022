/** Bodies whose connection was lost before their end. */
import type { Readable } from 'node:stream';

/** What node's messages say of themselves besides being streams: those of HTTP/2 are never destroyed, their streams are. */
interface Message {
  aborted?: boolean;
  stream?: { destroyed: boolean };
}

/**
 * True when the rest of `source` will never come, whether or not anybody listened when that was known. A message of HTTP/2 then counts as
 * ended, as if it were whole, so whoever reads one asks here, and listens to `aborted`, which comes before everything else.
 */
export function isCutShort(source: Readable): boolean {
  const { aborted = false, stream } = source as Readable & Message;
  return aborted || ((source.destroyed || stream?.destroyed === true) && !source.readableEnded);
}
