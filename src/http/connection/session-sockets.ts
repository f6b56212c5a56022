/**
 * Closes the connections of HTTP/2 sessions. `session.destroy()` waits for pending writes, which never end if the client does not read, and
 * node continues to read for the session. Closing the TCP connection ends the session at once.
 */
import type { Server } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { carrierOf } from './carrier.ts';
import { handleOf } from './socket-handle.ts';

/** Interval between two checks of the connections. */
const CHECK_MS = 250;

/** The state of a connection at the last check. */
interface Seen {
  /** Changes with every progress. */
  mark: string;
  /** True if reading was resumed since the last progress. */
  reading: boolean;
}

export class SessionSockets {
  readonly #bySession = new WeakMap<Http2Session, Socket>();

  /** Follows all new sessions of `server`. A session that fails is closed at once. */
  constructor(server: Server) {
    server.on('session', (session: Http2Session) => {
      // A closed session has no socket, so look it up now.
      this.#bySession.set(session, carrierOf(session.socket));
    });
    server.on('sessionError', (_error: unknown, session: Http2Session | undefined) => {
      if (session) this.end(session);
    });
    this.#watchRest(server);
  }

  /**
   * Notices connections that are lost while node does not read from them. Node stops reading while it writes and after the session has
   * ended. Two cases never recover:
   *
   *     a write fails at once       the session does not notice it, and the TLS layer keeps the bytes for a write that has ended
   *     the whole session fails     node sends GOAWAY and never reads again
   *
   * Then node sees neither the end of the connection nor that of its streams. The check closes connections of the first kind, also for
   * HTTP/1.1, and resumes reading on all other idle HTTP/2 connections.
   */
  #watchRest(server: Server): void {
    const seen = new Map<TLSSocket, Seen>();
    server.on('secureConnection', (secure: TLSSocket) => {
      seen.set(secure, { mark: '', reading: false });
      secure.once('close', () => seen.delete(secure));
    });
    const timer = setInterval(() => {
      for (const [secure, before] of seen) seen.set(secure, inspect(secure, carrierOf(secure), before));
    }, CHECK_MS).unref();
    server.on('close', () => clearInterval(timer));
  }

  /** Closes the connection of a session. */
  end(session: Http2Session): void {
    this.#bySession.get(session)?.destroy();
  }
}

function inspect(secure: TLSSocket, socket: Socket, before: Seen): Seen {
  const encrypted = handleOf(secure)?.writeQueueSize ?? 0;
  const handle = handleOf(socket) ?? {};
  const mark = `${encrypted} ${handle.bytesWritten} ${handle.bytesRead}`;
  // Pauses between two writes are normal, and during a write nothing needs to be read.
  if (mark !== before.mark || (handle.writeQueueSize ?? 0) > 0) return { mark, reading: false };
  if (encrypted > 0) socket.destroy();
  else if (secure.alpnProtocol === 'h2' && !before.reading) handle.readStart?.();
  return { mark, reading: true };
}
