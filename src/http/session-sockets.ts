/**
 * The connections of HTTP/2 sessions. `session.destroy()` waits for what is being written, which a client that does not read never lets
 * end, and node goes on reading for the session meanwhile. Closing the connection below ends all of it at once.
 */
import type { Server } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';

export class SessionSockets {
  readonly #byPeer = new Map<string, Socket>();
  readonly #bySession = new WeakMap<Http2Session, Socket>();

  /** Follows the sessions of `server` from now on. One that fails is closed at once. */
  constructor(server: Server) {
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      this.#byPeer.set(peer, socket);
      socket.once('close', () => {
        if (this.#byPeer.get(peer) === socket) this.#byPeer.delete(peer);
      });
    });
    server.on('session', (session: Http2Session) => {
      const socket = this.#byPeer.get(peerOf(session.socket));
      if (socket) this.#bySession.set(session, socket);
    });
    server.on('sessionError', (_error: unknown, session: Http2Session | undefined) => {
      if (session) this.end(session);
    });
  }

  end(session: Http2Session): void {
    this.#bySession.get(session)?.destroy();
  }
}

function peerOf({ remoteAddress = '', remotePort = 0 }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`;
}
