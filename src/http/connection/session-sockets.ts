/**
 * The connections of HTTP/2 sessions. `session.destroy()` waits for what is being written, which a client that does not read never lets
 * end, and node goes on reading for the session meanwhile. Closing the connection below ends all of it at once.
 */
import type { Server } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { carrierOf } from './carrier.ts';
import { handleOf } from './socket-handle.ts';

/** How often connections are looked at. */
const CHECK_MS = 250;

/** What was seen of a connection at the last look. */
interface Seen {
  mark: string;
  /** It was made to read since it came to rest. */
  reading: boolean;
}

export class SessionSockets {
  readonly #bySession = new WeakMap<Http2Session, Socket>();

  /** Follows the sessions of `server` from now on. One that fails is closed at once. */
  constructor(server: Server) {
    server.on('session', (session: Http2Session) => {
      // Not later: a session that is over has no socket.
      this.#bySession.set(session, carrierOf(session.socket));
    });
    server.on('sessionError', (_error: unknown, session: Http2Session | undefined) => {
      if (session) this.end(session);
    });
    this.#watchRest(server);
  }

  /**
   * Notices connections that are lost while node does not read them. It stops to read while it writes and when the session is over, and:
   *
   *     a write that fails at once     the session takes no notice, and the TLS layer keeps the bytes for a write that is no longer under way
   *     an error of the whole session  GOAWAY goes out, and nothing is read ever after
   *
   * Neither the end of the connection nor of its streams would be seen. The first kind is closed here, of HTTP/1.1 too, which may go on
   * when its client has ended its side; all others of HTTP/2 that rest are read.
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

  end(session: Http2Session): void {
    this.#bySession.get(session)?.destroy();
  }
}

function inspect(secure: TLSSocket, socket: Socket, before: Seen): Seen {
  const encrypted = handleOf(secure)?.writeQueueSize ?? 0;
  const handle = handleOf(socket) ?? {};
  const mark = `${encrypted} ${handle.bytesWritten} ${handle.bytesRead}`;
  // Between two writes it rests for a moment; while one is under way, nothing more need be read.
  if (mark !== before.mark || (handle.writeQueueSize ?? 0) > 0) return { mark, reading: false };
  if (encrypted > 0) socket.destroy();
  else if (secure.alpnProtocol === 'h2' && !before.reading) handle.readStart?.();
  return { mark, reading: true };
}
