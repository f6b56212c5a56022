/** Detects bodies whose connection was lost before the end of the body. */
import type { Readable } from 'node:stream';

/** Properties of Node's HTTP messages that a stream lacks. An HTTP/2 message is never destroyed itself; its stream is. */
interface Message {
  aborted?: boolean;
  stream?: { destroyed: boolean };
}

/**
 * True when the rest of `source` will never arrive, even if the connection was lost before any listener was attached. Node reports an
 * aborted HTTP/2 message as ended, as if it were complete. So readers call this function first, and then listen to `aborted`, which Node
 * emits before `end`.
 */
export function isCutShort(source: Readable): boolean {
  const { aborted = false, stream } = source as Readable & Message;
  return aborted || ((source.destroyed || stream?.destroyed === true) && !source.readableEnded);
}
