/** Detects bodies whose connection was lost before their end. */
import type { Readable } from 'node:stream';

/** The properties of Node's messages beyond those of a stream. An HTTP/2 message is never destroyed; its stream is. */
interface Message {
  aborted?: boolean;
  stream?: { destroyed: boolean };
}

/**
 * True when the rest of `source` will never arrive, whether or not a listener was attached at that moment. An aborted HTTP/2 message then
 * counts as ended, as if it were complete. Readers therefore call this function, and listen to `aborted`, which is emitted first.
 */
export function isCutShort(source: Readable): boolean {
  const { aborted = false, stream } = source as Readable & Message;
  return aborted || ((source.destroyed || stream?.destroyed === true) && !source.readableEnded);
}
