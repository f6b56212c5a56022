/**
 * Serves clients that close their side of the connection after the request (`printf … | nc -N`). A complete request gets its answer, and
 * then the connection ends (RFC 9112 §9.6). An endless answer, such as an event stream, ends at once: most clients that close their side
 * have left, which the server would notice only when it sends again.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Answers that end only when the client leaves. */
const endless = new WeakSet<object>();

/** Marks an answer that ends only when the client leaves. */
export function endsWithClient(response: ServerResponse): void {
  endless.add(response);
}

/**
 * Lets clients close their side of connections. Does not affect HTTP/2.
 * @param current returns the answer that began last on a connection
 * @param tls true for a server with TLS
 */
export function answerHalfOpen(
  server: Server,
  current: (socket: Socket) => ServerResponse | undefined,
  tls = false,
): void {
  // Node has only a property for this, no option.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket & Partial<TLSSocket>) => {
    if (socket.alpnProtocol === 'h2') return;
    // Node sets it only for servers without TLS.
    socket.allowHalfOpen = true;
    socket.on('end', () => {
      const response = current(socket);
      if (response !== undefined && endless.has(response)) socket.end();
    });
  });
}
