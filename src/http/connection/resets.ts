/**
 * Ends HTTP/2 sessions that start requests only to reset them (CVE-2023-44487). nghttp2 counts resets, too, but keeps the connection open
 * after its GOAWAY.
 */
import type { Server } from 'node:http';
import { constants, type Http2Session, type Http2Stream } from 'node:http2';

/** Limits of resets at once and per second. Seeking in a video causes a few per second. */
const MAX_AT_ONCE = 500;
const MAX_A_SECOND = 20;

/** Ends sessions of `server` above the limits. @param now monotonic time in milliseconds */
export function limitResets(server: Server, now: () => number, end: (session: Http2Session) => void): void {
  server.on('session', (session: Http2Session) => {
    let left = MAX_AT_ONCE;
    let at = now();
    session.on('stream', (stream: Http2Stream) => {
      stream.once('close', () => {
        if (stream.rstCode === constants.NGHTTP2_NO_ERROR) return;
        const since = now() - at;
        at += since;
        left = Math.min(MAX_AT_ONCE, left + (since * MAX_A_SECOND) / 1000) - 1;
        if (left < 0) end(session);
      });
    });
  });
}
