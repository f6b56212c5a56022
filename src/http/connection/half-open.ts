/**
 * Clients that close their side of the connection when the request is sent (`printf … | nc -N`). A request that arrived whole gets its
 * answer, and the connection ends with it (RFC 9112 §9.6). An answer that goes on until something happens ends at once: most who close
 * their side are gone, and whoever is gone shows that only when something is sent.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Answers without an end of their own. */
const lasting = new WeakSet<object>();

/** Marks an answer that goes on for as long as its client is there. */
export function endsWithClient(response: ServerResponse): void {
  lasting.add(response);
}

/**
 * @param current the last answer that was begun on a connection
 * @param tls whether HTTP/1.1 is spoken over TLS; connections of HTTP/2 are left alone
 */
export function answerHalfOpen(
  server: Server,
  current: (socket: Socket) => ServerResponse | undefined,
  tls = false,
): void {
  // Node knows it as a property of the server and not as an option.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket & Partial<TLSSocket>) => {
    if (socket.alpnProtocol === 'h2') return;
    // Of plain servers node sets it by itself.
    socket.allowHalfOpen = true;
    socket.on('end', () => {
      const response = current(socket);
      if (response !== undefined && lasting.has(response)) socket.end();
    });
  });
}
