/**
 * Clients that close their side of the connection after the request (`printf … | nc -N`). A complete request gets its
 * answer, and the connection ends with it (RFC 9112 §9.6). An answer without an end of its own ends at once: most clients that close
 * their side are no longer there, which shows only when the server sends something.
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
    // Node sets it itself for servers without TLS.
    socket.allowHalfOpen = true;
    socket.on('end', () => {
      const response = current(socket);
      if (response !== undefined && lasting.has(response)) socket.end();
    });
  });
}
