/** What lies below a TLS connection. */
import type { Socket } from 'node:net';

/**
 * The TCP connection of a TLS one; a TCP connection itself. Node has no public name for it. Ask it for the address of the client: it was
 * asked when the client was there, while a TLS connection that was reset during its handshake has none. Address and port do not tell the
 * connection either, for another client may have got the port of one that was lost.
 */
export function carrierOf(socket: Socket): Socket {
  return (socket as Socket & { _parent?: Socket | null })._parent ?? socket;
}
