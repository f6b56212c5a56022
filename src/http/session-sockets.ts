/**
 * The connections of HTTP/2 sessions. `session.destroy()` waits for what is being written, which a client that does not read never lets
 * end, and node goes on reading for the session meanwhile. Closing the connection below ends all of it at once.
 */
import type { Server } from 'node:http';
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** How often sessions are looked at for a write that failed in silence. */
const LOOK_MS = 250;

/** What node's handles of sockets count, in bytes. */
interface Handle {
  bytesWritten?: number;
  /** Given to it, and gone no further. */
  writeQueueSize?: number;
}

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
    this.#watchWrites(server);
  }

  /**
   * Closes connections whose write failed at once. Node tells its session nothing of that: the bytes stay in the TLS layer, which waits
   * for a write that is no longer under way, and the session reads nothing until it ends. So neither side would ever end the streams.
   */
  #watchWrites(server: Server): void {
    const waiting = new Map<TLSSocket, string | null>();
    server.on('secureConnection', (secure: TLSSocket) => {
      if (secure.alpnProtocol !== 'h2') return;
      waiting.set(secure, null);
      secure.once('close', () => waiting.delete(secure));
    });
    const timer = setInterval(() => {
      for (const [secure, before] of waiting) {
        const socket = this.#byPeer.get(peerOf(secure));
        const now = socket ? stuckAt(secure, socket) : null;
        if (now !== null && now === before) socket?.destroy();
        waiting.set(secure, now);
      }
    }, LOOK_MS).unref();
    server.on('close', () => clearInterval(timer));
  }

  end(session: Http2Session): void {
    this.#bySession.get(session)?.destroy();
  }
}

/** How far a connection is whose encrypted bytes nobody is writing; null when there are none. Between two writes it is so for a moment. */
function stuckAt(secure: TLSSocket, socket: Socket): string | null {
  const encrypted = handleOf(secure).writeQueueSize ?? 0;
  const { writeQueueSize = 0, bytesWritten = 0 } = handleOf(socket);
  return encrypted > 0 && writeQueueSize === 0 ? `${encrypted} ${bytesWritten}` : null;
}

function handleOf(socket: Socket): Handle {
  return (socket as Socket & { _handle?: Handle | null })._handle ?? {};
}

function peerOf({ remoteAddress = '', remotePort = 0 }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`;
}
